import { X509Certificate } from "node:crypto";

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Why nobody accepts it at that time, milliseconds since 1970; undefined when it is valid then. */
export function validityProblem({ validFrom, validTo }: X509Certificate, now: number): string | undefined {
	if (now > Date.parse(validTo)) return `has expired on ${validTo}`;
	return now < Date.parse(validFrom) ? `is not valid before ${validFrom}` : undefined;
}

/** Of several ones; undefined when one of them is valid: among many authorities some are old. */
export function validityProblemOfAll(certificates: readonly X509Certificate[], now: number): string | undefined {
	const problems = certificates.map((certificate) => validityProblem(certificate, now));
	return problems.includes(undefined) ? undefined : problems[0];
}

/** The certificates in the text of a file in PEM; none when one cannot be understood, of which others tell. */
export function certificatesIn(text: string): readonly X509Certificate[] {
	try {
		return (text.match(PEM) ?? []).map((block) => new X509Certificate(block));
	} catch {
		return [];
	}
}
