// @ts-nocheck: AssemblyScript, part of walk.as.ts.
//
// What the walk leaves to its host, `src/normalize/kernel/kernel.ts`. Addresses are those of the kernel's memory, which any of
// these calls may enlarge or write to.

/** Ends the walk over the current record, by an exception: control never comes back. */
@external('host', 'giveUp') export declare function giveUp(): void
/** Fails the load: no more memory can be had. */
@external('host', 'outOfMemory') export declare function outOfMemory(bytes: u32): void
/** Stores the value at `at`, which needs converting or is kept as JSON; returns its end. */
@external('host', 'uncommon') export declare function uncommon(at: usize, field: i32, row: i32): usize
/** Passes over the elements of a list that a contract does not admit, from the first; returns the end of the list. */
@external('host', 'discardList') export declare function discardList(at: usize): usize
/** The double nearest to the number written in `[start, end)`. */
@external('host', 'nearestDouble') export declare function nearestDouble(start: usize, end: usize): f64
/** The key that is spelled, with escapes, as the bytes `[start, end)`. */
@external('host', 'escapedKey') export declare function escapedKey(node: i32, start: usize, end: usize): usize
/** Half of a surrogate pair was replaced in a text of the column. */
@external('host', 'surrogateReplaced') export declare function surrogateReplaced(column: i32): void
/** U+0000 was left out of a text of the column. */
@external('host', 'nulRemoved') export declare function nulRemoved(column: i32): void
/** Digits of a time or an integer of the column were cut off. */
@external('host', 'digitsCut') export declare function digitsCut(column: i32): void
/** Makes the id of a root row from its record `[start, end)`. */
@external('host', 'rootId') export declare function rootId(row: i32, start: usize, end: usize): void
