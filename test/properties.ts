import fc from 'fast-check'

/**
 * Properties are tried with the same inputs in every run, so that a failure belongs to the change under test. The
 * nightly run tries others, with a `SLUICE_SEED` of its own, which a failure also prints.
 */
fc.configureGlobal({ seed: Number(process.env.SLUICE_SEED ?? 20_261) })

export default fc
