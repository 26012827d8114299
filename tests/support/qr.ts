/**
 * Reads a QR code in an SVG as a camera would, by a library that does not write them here. Draws
 * rectangles only: `M x,y h w v h`, in viewBox units.
 */
export async function readQrSvg(svg: string): Promise<string> {
  const { default: decode } = await import('qr/decode.js');
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)?.map(Number) ?? [];
  if (width === undefined || height === undefined) throw new Error('no viewBox');
  const data = new Uint8Array(width * height * 4).fill(255);
  for (const square of svg.matchAll(/M(\d+),(\d+)h(\d+)v(\d+)/g)) {
    const [left = 0, top = 0, wide = 0, high = 0] = square.slice(1).map(Number);
    for (let y = top; y < top + high; y += 1)
      for (let x = left; x < left + wide; x += 1)
        data.fill(0, 4 * (y * width + x), 4 * (y * width + x) + 3);
  }
  return decode({ width, height, data });
}
