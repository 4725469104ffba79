import fc from "fast-check";

/** A mutation run asks every property thousands of times over. */
fc.configureGlobal({ numRuns: 25 });
