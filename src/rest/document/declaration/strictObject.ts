import { z } from 'zod'
import { later } from '../../../model/runtime/firstUse.js'

/**
 * An object with these keys and no others. Its keys are declared when a document is first checked: there are hundreds, and
 * a program that loads the library may check none.
 */
export function strictObject<Shape extends z.core.$ZodLooseShape>(
  keys: () => Shape,
): z.ZodObject<Shape, z.core.$strict> {
  const declared = later(keys)
  const definition: z.core.$ZodObjectDef<Shape> = {
    type: 'object',
    get shape() {
      return declared()
    },
    catchall: z.never(),
  }
  // The constructor's type knows neither keys nor strictness.
  return new z.ZodObject(definition) as unknown as z.ZodObject<Shape, z.core.$strict>
}
