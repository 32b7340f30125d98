/** Where this package is, for `createRequire`. In a bundle of CommonJS, which knows no `import.meta.url`, the bundle. */
export function ownPlace(): string {
  return (import.meta.url as string | undefined) ?? __filename
}
