"""Picture files, one format a file: what a file holds, found before anything is decoded, and how it is decoded.

``telling``    which format bytes are in, whatever they are called
``source``     what each format answers with: size, cost, and the images to look at
``jpeg``, ``png``, ``gif``, ``webp``, ``iso_media`` (AVIF, HEIC), ``tiff``, ``plain`` (BMP, ICO, JPEG 2000)
``animation``  which frames of an animated picture are looked at, and how they are drawn
``exif``       how the camera was held

Pillow decodes, but is given no more of a file than its pixels need: text, colour profiles and metadata are where small
files make it spend gigabytes or refuse a picture that every browser shows.
"""
