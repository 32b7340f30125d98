import { z } from 'zod'
import type { KindAuthenticator, SignContext } from '../api.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { isThrottled, pauseUntil } from '../http/rateLimit.js'
import { authBlock } from './authBlock.js'
import { defineAuth } from './authenticator.js'

/** For refusals that do not say how long. */
const UNTOLD_MS = 60_000

/** Several credentials. One is used until the API says that it has nothing left; then the next one is. */
export const rotate = defineAuth({
  type: 'rotate',
  schema: strictObject(() => ({
    type: z.literal('rotate').meta({
      description:
        'Several credentials: when the API says that one has nothing left (429, or rate limit headers), the next one is used.',
    }),
    auths: z
      .array(authBlock)
      .min(2)
      .meta({
        description: 'The credentials, in the order of their use.',
        examples: [[{ token: '${secrets.first}' }, { token: '${secrets.second}' }]],
      }),
  })),
  secretFields: [],
  lookedUp: [],
  nested: 'auths',
  carries: ({ auths }, carriedBy) => {
    const all = auths.map(carriedBy)
    return { headers: all.flatMap(({ headers = [] }) => headers), params: all.flatMap(({ params = [] }) => params) }
  },
  create({ auths }, { path, nested }) {
    const all = auths.flatMap(auth => nested?.(auth) ?? [])
    const [first] = all
    if (first === undefined) throw new TypeError(`${path}: there is nothing to choose from`)
    const emptyUntil = new Map<KindAuthenticator, number>()
    let current = first
    const freeAt = (auth: KindAuthenticator): number => emptyUntil.get(auth) ?? Number.NEGATIVE_INFINITY

    const choose = (context: SignContext): KindAuthenticator => {
      const now = context.now()
      if (freeAt(current) <= now) return current
      // After the current one, in order. If none has anything left: the one that will have something first, or this one.
      const begin = all.indexOf(current) + 1
      const others = [...all.slice(begin), ...all.slice(0, begin)]
      current =
        others.find(auth => freeAt(auth) <= now) ?? others.reduce((a, b) => (freeAt(b) < freeAt(a) ? b : a), current)
      return current
    }
    return {
      choose,
      learn(chosen, status, headers, now) {
        const until = pauseUntil(status, headers, now)
        if (until !== undefined && until > now) emptyUntil.set(chosen, until)
        else if (isThrottled(status, headers)) emptyUntil.set(chosen, now + UNTOLD_MS)
      },
      sign: (request, context) => choose(context).sign(request, context),
    }
  },
})
