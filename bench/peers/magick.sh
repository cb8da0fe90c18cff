#!/bin/sh
# The same variants with ImageMagick, in one process that reads the file once.
#     magick.sh MAGICK FILE OUT ENDING
magick=$1 file=$2 out=$3 ending=$4
small() { printf '( -clone 0--1 -thumbnail %sx%s> -write %s/%sx%s.%s -blur 0x%s -write %s/%sx%s_blurred.%s -delete 0--1 ) ' \
    "$1" "$1" "$out" "$1" "$1" "$ending" "$2" "$out" "$1" "$1" "$ending"; }
cp "$file" "$out/original.${file##*.}"
set -f
# shellcheck disable=SC2046
exec "$magick" "$file" $([ "${file##*.}" = gif ] && echo -coalesce) -auto-orient -strip -quality 75 \
    $(small 50 0.5) $(small 100 1) $(small 400 4) -blur 0x20 "$out/original_blurred.$ending"
