import writeWorkbook from 'write-excel-file/node'
import { ZipFile } from 'yazl'

/** A zip archive of these files. */
export async function zipOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<Buffer> {
  const zip = new ZipFile()
  for (const [name, content] of Object.entries(files)) zip.addBuffer(Buffer.from(content), name)
  zip.end()
  const parts: Buffer[] = []
  for await (const part of zip.outputStream) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}

export type Cells = readonly (readonly (string | number | boolean | Date | null)[])[]

/** An Excel workbook with sheets of these cells. */
export async function workbookOf(sheets: Readonly<Record<string, Cells>>): Promise<Buffer> {
  const made = Object.entries(sheets).map(([sheet, rows]) => ({
    sheet,
    data: rows.map(row =>
      row.map(value => {
        if (value === null) return null
        return value instanceof Date ? { value, format: 'yyyy-mm-dd hh:mm:ss' } : { value }
      }),
    ),
  }))
  return (await writeWorkbook(made as never)).toBuffer()
}
