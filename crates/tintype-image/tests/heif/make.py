"""Makes the HEIC and AVIF files of these tests: the picture of four colours of `fixtures/`, turned by a box, or with
alpha, or with a profile. Needs pillow-heif. Run it here: python3 make.py
"""
import pillow_heif
from PIL import Image, ImageCms

W, H = 64, 48
COLORS = [(200, 30, 30), (30, 160, 30), (30, 30, 200), (255, 255, 255)]

rgb = Image.new("RGB", (W, H))
for i, color in enumerate(COLORS):
    rgb.paste(color, (i % 2 * W // 2, i // 2 * H // 2, (i % 2 + 1) * W // 2, (i // 2 + 1) * H // 2))
alpha = rgb.convert("RGBA")
alpha.paste((255, 255, 255, 0), (W // 2, H // 2, W, H))
pillow_heif.register_heif_opener()
rgb.save("rgb.heic", quality=90)
alpha.save("alpha.heic", quality=90)
# pillow-heif writes EXIF orientation 6 as the boxes that turn it.
turned = Image.Exif()
turned[274] = 6
rgb.save("turned.heic", quality=90, exif=turned.tobytes())
# A profile whose red is green, and whose green is red.
profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
profile = profile[:24] + bytes(12) + profile[36:]
profile = profile.replace(b"rXYZ", b"xxxx").replace(b"gXYZ", b"rXYZ").replace(b"xxxx", b"gXYZ")
rgb.save("swapped.heic", quality=90, icc_profile=profile)
rgb.save("rgb.avif", quality=90)
alpha.save("alpha.avif", quality=90)
