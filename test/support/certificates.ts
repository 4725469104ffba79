import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Paths of files in PEM. */
export interface Certificate {
	readonly cert: string;
	readonly key: string;
}

export interface TestCa {
	/** Path of its own certificate. */
	readonly ca: string;
	/** `altNames` as in a configuration of openssl; with a negative number of days it has expired. */
	issue(commonName: string, altNames: string, days?: number): Certificate;
	remove(): void;
}

function openssl(...options: readonly string[]): void {
	execFileSync("/usr/bin/openssl", options, { stdio: "pipe" });
}

/** A certificate authority in a temporary directory. */
export function createCa(): TestCa {
	const dir = mkdtempSync(join(tmpdir(), "novacompat-ca-"));
	const path = (name: string) => join(dir, name);
	const newKey = (key: string) => ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", key];
	const [ca, caKey] = [path("ca.pem"), path("ca.key")];
	openssl("req", "-x509", ...newKey(caKey), "-out", ca, "-subj", "/CN=test CA", "-days", "1");
	let issued = 0;
	return {
		ca,
		issue(commonName, altNames, days = 1) {
			const name = path(String(++issued));
			const [cert, key, request, extensions] = [`${name}.pem`, `${name}.key`, `${name}.csr`, `${name}.ext`];
			writeFileSync(extensions, `subjectAltName=${altNames}\n`);
			openssl("req", ...newKey(key), "-out", request, "-subj", `/CN=${commonName}`);
			const signed = ["-req", "-in", request, "-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-extfile", extensions];
			openssl("x509", ...signed, "-out", cert, "-days", String(days));
			return { cert, key };
		},
		remove: () => rmSync(dir, { recursive: true }),
	};
}
