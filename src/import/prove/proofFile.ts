import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { replaceFile } from '../../journal/wholeFile.js'
import type { Proof } from './proof.js'

const VERSION = 1

/** A larger one is none of ours. */
const MOST_CHARACTERS = 4_000_000

/** Where the proofs of a pipeline file are kept. */
function proofPath(file: string): string {
  return `${file}.proof.json`
}

const finding = z.object({
  key: z.string(),
  status: z.enum(['proven', 'assumed', 'wrong']),
  seen: z.string(),
  requests: z.array(z.number()),
  write: z.record(z.string(), z.json()).optional(),
})

const resourceProof = z.object({
  resource: z.string(),
  findings: z.array(finding),
  notes: z.array(z.string()),
  requests: z.array(
    z.object({
      number: z.number(),
      asked: z.string(),
      request: z.string(),
      answer: z.string(),
      records: z.number().optional(),
    }),
  ),
  problem: z.string().optional(),
})

const proofFile = z.object({
  version: z.literal(VERSION),
  proofs: z.array(
    z.object({
      pipeline: z.string(),
      at: z.string(),
      origins: z.array(z.string()),
      about: z.string(),
      resources: z.array(resourceProof),
    }),
  ),
})

/** Writes the proofs of a file beside it. Those of resources that were not asked this time stay, if they still fit. */
export async function keepProofs(file: string, proofs: readonly Proof[]): Promise<string> {
  const path = proofPath(file)
  const { proofs: earlier } = await readProofs(file)
  const merged = proofs.map(proof => {
    const old = earlier.find(
      ({ pipeline, about, at }) => pipeline === proof.pipeline && about === proof.about && at !== '',
    )
    const kept =
      old?.resources.filter(({ resource }) => !proof.resources.some(other => other.resource === resource)) ?? []
    return { ...proof, resources: [...proof.resources, ...kept] }
  })
  await replaceFile(path, `${JSON.stringify({ version: VERSION, proofs: merged }, undefined, 2)}\n`)
  return path
}

export interface KeptProofs {
  readonly proofs: readonly Proof[]
  /** Why the file beside is not read, if it is there and is not. */
  readonly refused?: string | undefined
}

/** The proofs beside a file. None if there are none, or if they are no proofs, which is told. Never rejects. */
export async function readProofs(file: string): Promise<KeptProofs> {
  const path = proofPath(file)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT'
      ? { proofs: [] }
      : { proofs: [], refused: `${path} cannot be read (${code ?? 'unknown reason'})` }
  }
  const again = `\`sluice prove\` writes it anew`
  if (text.length > MOST_CHARACTERS) return { proofs: [], refused: `${path} is too large to be a proof; ${again}` }
  try {
    const { success, data } = proofFile.safeParse(JSON.parse(text))
    if (success) return { proofs: data.proofs as readonly Proof[] }
  } catch {}
  return { proofs: [], refused: `${path} is no proof that this version reads; ${again}` }
}
