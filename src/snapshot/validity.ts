import type { X509Certificate } from "node:crypto";

/** Why nobody accepts it at that time, milliseconds since 1970; undefined when it is valid then. */
export function validityProblem({ validFrom, validTo }: X509Certificate, now: number): string | undefined {
	if (now > Date.parse(validTo)) return `has expired on ${validTo}`;
	return now < Date.parse(validFrom) ? `is not valid before ${validFrom}` : undefined;
}
