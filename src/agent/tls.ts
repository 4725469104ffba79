import { constants, createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import type { Logger } from "../log/logger.ts";
import { fileVersions } from "../snapshot/file-versions.ts";
import { certificatesIn, validityProblem, validityProblemOfAll } from "../snapshot/validity.ts";

const CHECK_INTERVAL_MS = 5_000;
/** So long before the certificate ends that is said: three weeks. */
const ALARM_MS = 21 * 86_400_000;

/** Paths of PEM files. */
export interface TlsFiles {
	readonly certificate: string;
	readonly key: string;
	/** Authorities that client certificates must be from. */
	readonly clientCa: string;
}

/** A session that is taken up again would let in who shows no certificate, or one that has ended meanwhile. */
const EACH_VERIFIED = { minVersion: "TLSv1.2", secureOptions: constants.SSL_OP_NO_TICKET } as const;

/** Certificate, key and authorities cannot be used; the message names the file and what was expected. */
export class TlsError extends Error {
	override readonly name = "TlsError";
}

interface TlsMaterial {
	readonly context: SecureContextOptions;
	readonly certificate: X509Certificate;
	/** That clients must be from. */
	readonly authorities: readonly X509Certificate[];
}

/**
 * Certificate and key of the agent. New files are taken without a restart; what cannot be used is told, and the old ones
 * stay.
 */
export class AgentTls {
	readonly #files: TlsFiles;
	readonly #host: string;
	readonly #log: Logger;
	readonly #interval: number;
	#version: string;
	#material: TlsMaterial;
	#timer: NodeJS.Timeout | undefined;
	#taken = 1;
	#refused = 0;

	/** `interval`: milliseconds from one look at the files to the next. @throws {TlsError} */
	constructor(files: TlsFiles, host: string, log: Logger, interval = CHECK_INTERVAL_MS) {
		this.#files = files;
		this.#host = host;
		this.#log = log;
		this.#interval = interval;
		this.#version = versionOf(files);
		this.#material = this.#read();
	}

	get context(): SecureContextOptions {
		return this.#material.context;
	}

	/** How often files were taken or refused, and when the certificate ends, in seconds since 1970. */
	get metrics(): { readonly taken: number; readonly refused: number; readonly expiry: number } {
		const expiry = new Date(this.#material.certificate.validTo).getTime() / 1000;
		return { taken: this.#taken, refused: this.#refused, expiry };
	}

	/** Looks at the files from now on; `use` is called with what is new and can be used. */
	watch(use: (context: SecureContextOptions) => void): void {
		this.#timer = setInterval(() => this.#look(use), this.#interval).unref();
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	#look(use: (context: SecureContextOptions) => void): void {
		const version = versionOf(this.#files);
		if (version === this.#version) return;
		this.#version = version;
		try {
			this.#material = this.#read();
			use(this.#material.context);
			this.#taken++;
			this.#log.info(`new certificate taken, it ends on ${this.#material.certificate.validTo}`);
		} catch (error) {
			if (!(error instanceof TlsError)) throw error;
			this.#refused++;
			this.#log.error(`new certificate refused, the old one stays: ${error.message}`);
		}
	}

	#read(): TlsMaterial {
		const material = readMaterial(this.#files);
		for (const warning of warningsOf(material, this.#files, this.#host)) this.#log.warning(warning);
		return material;
	}
}

/** Reads the files and checks that they fit together. */
function readMaterial({ certificate, key, clientCa }: TlsFiles): TlsMaterial {
	checkKeyMode(key);
	const material = { cert: readFile(certificate), key: readFile(key), ca: readFile(clientCa) };
	const leaf = attempt(certificate, "a certificate in PEM", () => new X509Certificate(material.cert));
	const privateKey = attempt(key, "a private key in PEM without a passphrase", () => createPrivateKey(material.key));
	attempt(clientCa, "certificates in PEM", () => new X509Certificate(material.ca));
	if (!leaf.checkPrivateKey(privateKey)) throw new TlsError(`${key} is not the key of ${certificate}`);
	const context = { ...material, ...EACH_VERIFIED };
	attempt(certificate, "a certificate that OpenSSL accepts", () => createSecureContext(context));
	return { context, certificate: leaf, authorities: certificatesIn(material.ca.toString("latin1")) };
}

/** What is odd about files that can be used. @throws {TlsError} when they cannot */
export function lintTlsFiles(files: TlsFiles, host: string): readonly string[] {
	return warningsOf(readMaterial(files), files, host);
}

/** What an operator should know of files that can be used all the same. */
function warningsOf(
	{ certificate, authorities }: TlsMaterial,
	{ clientCa }: TlsFiles,
	host: string,
): readonly string[] {
	const warnings: string[] = [];
	if (certificate.checkHost(host, { subject: "never", wildcards: false }) === undefined) {
		const names = certificate.subjectAltName ?? "no subjectAltName";
		warnings.push(`the certificate has ${names}, expected DNS:${host}: the service will refuse it`);
	}
	const problem = validityProblem(certificate, Date.now());
	if (problem) warnings.push(`the certificate ${problem}`);
	else if (Date.parse(certificate.validTo) - Date.now() < ALARM_MS)
		warnings.push(`the certificate expires on ${certificate.validTo}`);
	const over = validityProblemOfAll(authorities, Date.now());
	if (over) warnings.push(`no client is let in: the authority of ${clientCa} ${over}`);
	return warnings;
}

function versionOf({ certificate, key, clientCa }: TlsFiles): string {
	return fileVersions([certificate, key, clientCa]);
}

/** Whoever can read the key can pass for this host. */
function checkKeyMode(key: string): void {
	const { mode, uid } = attempt(key, "a file", () => statSync(key));
	const allowed = uid === 0 ? 0o740 : 0o700;
	if ((mode & 0o777 & ~allowed) === 0) return;
	const got = (mode & 0o777).toString(8).padStart(4, "0");
	throw new TlsError(`${key} has mode ${got}, expected 0600, or 0640 where it belongs to root`);
}

function readFile(file: string): Buffer {
	return attempt(file, "a file that can be read", () => readFileSync(file));
}

function attempt<T>(file: string, expected: string, operation: () => T): T {
	try {
		return operation();
	} catch (cause) {
		const code = cause instanceof Error && "code" in cause ? cause.code : cause;
		throw new TlsError(`${file} cannot be used (${code}): expected ${expected}`, { cause });
	}
}
