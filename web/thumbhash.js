// Draws a ThumbHash: a picture of about 25 bytes, few cosines of brightness, two colour differences and transparency.
// https://evanw.github.io/thumbhash/ describes the format.

/** Draws the hash, in base64, on a canvas, whose size it sets. */
export function draw(canvas, base64) {
  const hash = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const head = hash[0] | (hash[1] << 8) | (hash[2] << 16);
  const more = hash[3] | (hash[4] << 8);
  const bits = (number, from, count) => (number >> from) & ((1 << count) - 1);
  const hasAlpha = bits(head, 23, 1) === 1;
  const isLandscape = bits(more, 15, 1) === 1;
  const longest = hasAlpha ? 5 : 7;
  const [across, down] = isLandscape ? [longest, bits(more, 0, 3)] : [bits(more, 0, 3), longest];

  // Amplitudes follow as half bytes: those of brightness, of both differences, of transparency.
  let place = hasAlpha ? 12 : 10;
  const half = () => bits(hash[place >> 1], (place++ & 1) * 4, 4);
  const channel = (mean, scale, columns, rows) => {
    const waves = [];
    for (let y = 0; y < rows; y++) {
      for (let x = y === 0 ? 1 : 0; x * rows < columns * (rows - y); x++) waves.push([x, y, (half() / 7.5 - 1) * scale]);
    }
    return { mean, waves };
  };
  // Colours are made a little stronger than they were written, since rounding weakens them.
  const strong = 1.25;
  const light = channel(bits(head, 0, 6) / 63, bits(head, 18, 5) / 31, Math.max(3, across), Math.max(3, down));
  const yellow = channel(bits(head, 6, 6) / 31.5 - 1, (bits(more, 3, 6) / 63) * strong, 3, 3);
  const red = channel(bits(head, 12, 6) / 31.5 - 1, (bits(more, 9, 6) / 63) * strong, 3, 3);
  const alpha = hasAlpha ? channel(bits(hash[5], 0, 4) / 15, bits(hash[5], 4, 4) / 15, 5, 5) : { mean: 1, waves: [] };

  const ratio = across / down;
  const [width, height] = ratio > 1 ? [32, Math.round(32 / ratio)] : [Math.round(32 * ratio), 32];
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const cosines = (n, size) => Array.from({ length: 8 }, (_, k) => Math.cos((Math.PI / size) * (n + 0.5) * k));
  const columns = Array.from({ length: width }, (_, x) => cosines(x, width));
  for (let y = 0; y < height; y++) {
    const rows = cosines(y, height);
    for (let x = 0; x < width; x++) {
      // Amplitudes are written at half their height.
      const at = ({ mean, waves }) => waves.reduce((sum, [u, v, size]) => sum + size * 2 * columns[x][u] * rows[v], mean);
      const [l, p, q] = [at(light), at(yellow), at(red)];
      const blue = l - (2 / 3) * p;
      const r = (3 * l - blue + q) / 2;
      const pixel = [r, r - q, blue, at(alpha)];
      picture.data.set(pixel.map((value) => Math.max(0, Math.min(255, Math.round(value * 255)))), (y * width + x) * 4);
    }
  }
  context.putImageData(picture, 0, 0);
}
