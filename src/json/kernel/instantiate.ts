import { EnvironmentError } from '../../model/errors.js'

// Node has it; the type definitions of Node 20 know its types only.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

/** A place in the memory of a kernel. 0 means none. */
export type Address = number

/** The memory of a kernel. Growing it detaches its old buffer. */
export interface Memory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

const modules = new Map<string, object>()

/**
 * Creates a new instance of a kernel and returns its exports. `kernel` is base64 from `npm run build:wasm`. Each kernel
 * is compiled once. Fails with an {@link EnvironmentError} if the process cannot get the address space.
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
