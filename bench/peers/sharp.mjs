// The same variants with sharp, as its manual shows. A thumbnail is kept as pixels, so that it is not made again
// for its blur.
//
//     sharp.mjs FILE OUT [png]     writes the variants to OUT, as PNG if asked; without arguments: starts and ends
import { copyFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'

// its folder is told, since the bench installs it outside the repository's own files
const sharp = createRequire(process.env.SHARP_FROM + '/')('sharp')
sharp.concurrency(1)
sharp.cache(false)

const [file, out, as] = process.argv.slice(2)
const qualities = { '.jpg': { quality: 75 }, '.jpeg': { quality: 75 }, '.webp': { quality: 75 } }

async function develop() {
  const ending = as === 'png' ? '.png' : path.extname(file)
  const kind = { '.jpg': 'jpeg' }[ending] ?? ending.slice(1)
  const options = { animated: ['.gif', '.webp'].includes(path.extname(file)) }
  const save = (image, name) => image.toFormat(kind, qualities[ending] ?? {}).toFile(path.join(out, name + ending))

  await save(sharp(file, options).rotate().blur(20), 'original_blurred')
  for (const box of [50, 100, 400]) {
    const { data, info } = await sharp(file, options)
      .rotate()
      .resize(box, box, { fit: 'inside', withoutEnlargement: true })
      .raw()
      .toBuffer({ resolveWithObject: true })
    const { width, height, channels, pageHeight } = info
    const small = () => sharp(data, { raw: { width, height, channels, ...(pageHeight && { pageHeight }) } })
    await save(small(), `${box}x${box}`)
    await save(small().blur(box / 100), `${box}x${box}_blurred`)
  }
  await copyFile(file, path.join(out, 'original' + path.extname(file)))
}

if (file) await develop()
