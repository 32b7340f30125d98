// Node has it; the type definitions of Node 20 know its types only.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

/** The exports of a kernel without imports, as `scripts/build-wasm.mjs` compiles it, in base64. */
export function instantiate(kernel: string): unknown {
  return new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(kernel, 'base64')), {}).exports
}
