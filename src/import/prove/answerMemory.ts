import type { RecordedResponse, ResponseIdentity, ResponseJournal } from '../../model/responses.js'

/** More is asked for again. */
const MOST_BYTES = 64 * 2 ** 20

/**
 * What an API answered in one proof, for the next proof of a document that was mended meanwhile: what both ask for is
 * asked once. A proof is given only what earlier ones heard, so that nothing of its own comes back to it.
 */
export class AnswerMemory implements ResponseJournal {
  readonly #known = new Map<string, RecordedResponse>()
  readonly #heard = new Map<string, RecordedResponse>()
  #bytes = 0

  async lookup({ resource, request }: ResponseIdentity): Promise<RecordedResponse | undefined> {
    return this.#known.get(`${resource} ${request}`)
  }

  async record({ resource, request }: ResponseIdentity, response: RecordedResponse): Promise<void> {
    this.#bytes += response.body.length
    if (this.#bytes > MOST_BYTES) return
    // The bytes of a body are overwritten by the next one.
    this.#heard.set(`${resource} ${request}`, { ...response, body: Buffer.from(response.body) })
  }

  /** The next proof may be given what this one heard. */
  turn(): void {
    for (const [identity, response] of this.#heard) this.#known.set(identity, response)
    this.#heard.clear()
  }
}
