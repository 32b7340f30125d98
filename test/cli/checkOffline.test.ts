import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { command, emptyFolder } from '../import/importing.js'
import { testApi } from '../rest/loading.js'

describe('sluice check --offline', () => {
  it('needs no secret, not even of the destination, and asks for nothing', async () => {
    const api = await testApi(() => ({ json: [] }))
    const folder = await emptyFolder()
    const document = (destination: string) => `name: shop
destination: ${destination}
dataset: \${env.NO_SUCH_DATASET}
client: { base_url: "${api.origin}", auth: { type: bearer, token: "\${secrets.no_such_token}" } }
resources: [orders, { name: shops, endpoint: { params: { k: "\${secrets.other}" } } }]
`
    for (const [name, destination] of Object.entries({
      whole: '"${secrets.no_such_address}"',
      parts: '"postgres://u:${secrets.pw}@${env.NO_HOST}:${env.NO_PORT}/db"',
      file: 'duckdb:x.duckdb',
    })) {
      const file = join(folder, `${name}.yaml`)
      await writeFile(file, document(destination))
      expect(await command(['check', '--offline', file])).toMatchObject({
        exitCode: 0,
        out: 'shop: the file is valid, with 2 resources; nothing was asked for\n',
      })
      expect((await command(['check', file])).exitCode).toBe(2)
    }
    expect(await command(['check', '--offline', folder])).toMatchObject({ exitCode: 0 })
    expect(api.asked).toEqual([])
  })

  it('refuses what a run would refuse, and goes on with the other files', async () => {
    const folder = await emptyFolder()
    const [wrong, right] = [join(folder, 'a.yaml'), join(folder, 'b.yaml')]
    await writeFile(wrong, 'client: { base_url: "https://a.example.com" }\nresources: [{ name: x, endpont: y }]\n')
    await writeFile(right, 'client: { base_url: "https://a.example.com" }\nresources: [x]\n')
    const checked = await command(['check', '--offline', wrong, right])
    expect(checked.exitCode).toBe(2)
    expect(checked.err).toContain('a.yaml:2:24 resources[0].endpont')
    expect(checked.out).toContain('b: the file is valid, with 1 resource')
    await writeFile(wrong, 'destination: duckbd:x\nclient: { base_url: "https://a.example.com" }\nresources: [x]\n')
    expect((await command(['check', '--offline', wrong])).err).toContain('did you mean')
  })

  it('reads the placeholders of a text whose variable is missing', async () => {
    const file = join(await emptyFolder(), 'lines.yaml')
    const path = '"${env.NO_SUCH_SHOP}/orders/{resources.orders.id}/lines"'
    await writeFile(
      file,
      `client: { base_url: "https://a.example.com" }\nresources:\n  - orders\n  - { name: lines, include_from_parent: [id], endpoint: { path: ${path} } }\n`,
    )
    expect(await command(['check', '--offline', file])).toMatchObject({ exitCode: 0 })
  })

  it.each([
    'http://127.0.0.1:${env.NO_SUCH_PORT}/v1',
    'https://${env.NO_SUCH_HOST}:${env.NO_SUCH_PORT}',
    '${env.NO_SUCH_API}',
  ])('reads the address %s, whose variables are missing', async address => {
    const file = join(await emptyFolder(), 'port.yaml')
    await writeFile(file, `client: { base_url: "${address}" }\nresources: [orders]\n`)
    expect(await command(['check', '--offline', file])).toMatchObject({ exitCode: 0 })
  })

  it('checks modules too', async () => {
    const folder = await emptyFolder()
    const file = join(folder, 'shop.ts')
    const text = `import { duckdb, pipeline, restApi, secret } from 'sluice'
const source = restApi({ client: { base_url: 'https://a.example.com', auth: { type: 'bearer', token: secret('no_such') } }, resources: ['x'] })
export default pipeline({ name: 'shop', source, destination: duckdb('x.duckdb') })
`
    await writeFile(file, text)
    expect(await command(['check', '--offline', file])).toMatchObject({ exitCode: 0 })
  })
})
