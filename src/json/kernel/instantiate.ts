import { EnvironmentError } from '../../model/errors.js'

// Node has it; the type definitions of Node 20 know its types only.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

/** A place in the memory of a kernel; 0 for none. */
export type Address = number

/** The memory of a kernel. Growing it detaches the buffer that it had. */
export interface Memory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

const modules = new Map<string, object>()

/**
 * The exports of an instance of its own of a kernel, which `npm run build:wasm` compiles, in base64. A kernel is compiled
 * once. Fails with an {@link EnvironmentError} where the process may not have the address space.
 */
export function instantiate(kernel: string, imports: object = {}): unknown {
  let module = modules.get(kernel)
  if (module === undefined) {
    module = new WebAssembly.Module(Buffer.from(kernel, 'base64'))
    modules.set(kernel, module)
  }
  try {
    return new WebAssembly.Instance(module, imports).exports
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new EnvironmentError(
      'WebAssembly cannot reserve its address space, 10 GB a load, of which nearly nothing becomes memory: raise the limit of virtual memory (ulimit -v), or start Node with --disable-wasm-trap-handler',
      { cause },
    )
  }
}
