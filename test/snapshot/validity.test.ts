import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { validityProblem } from "../../src/snapshot/validity.ts";
import { createCa } from "../support/certificates.ts";

const DAY_MS = 86_400_000;
const ca = createCa();
afterAll(() => ca.remove());

/** days from now on, of a certificate for two days */
const TIMES = [
	[-1, /^is not valid before \w{3} .* GMT$/],
	[1, undefined],
	[3, /^has expired on \w{3} .* GMT$/],
] as const;
test.each(TIMES)("at day %i", (days, says) => {
	const certificate = new X509Certificate(readFileSync(ca.issue("a", "DNS:a", 2).cert));
	const problem = validityProblem(certificate, Date.now() + days * DAY_MS);
	if (says === undefined) expect(problem).toBeUndefined();
	else expect(problem).toMatch(says);
});
