import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext, type SecureContext } from "node:tls";
import { fileVersions } from "./file-versions.ts";

/** Paths of files in PEM: who signs the agents, and with what the service shows itself to them. */
export interface TlsFiles {
	readonly ca: string;
	readonly cert: string;
	readonly key: string;
}

/** The files cannot be used; the message names the file, and never what is in it. */
export class InvalidTlsFiles extends Error {
	override readonly name = "InvalidTlsFiles";
}

/** The TLS material, read again when a file has changed. */
export class TlsMaterial {
	#files: TlsFiles;
	readonly #warn: (text: string) => void;
	#version: string;
	#context: SecureContext;

	/** Throws InvalidTlsFiles; later, files that cannot be used are told by `warn`, and what was there before is used on. */
	constructor(files: TlsFiles, warn: (text: string) => void) {
		this.#files = files;
		this.#warn = warn;
		this.#version = versionOf(files);
		this.#context = load(files);
	}

	/** Reads files, these or others, and returns what takes them into use. Throws InvalidTlsFiles; nothing has changed then. */
	prepare(files: TlsFiles): () => void {
		const version = versionOf(files);
		const context = load(files);
		return () => {
			[this.#files, this.#version, this.#context] = [files, version, context];
		};
	}

	/** Another one when a file has changed. */
	context(): SecureContext {
		const version = versionOf(this.#files);
		if (version === this.#version) return this.#context;
		this.#version = version;
		try {
			this.#context = load(this.#files);
		} catch (error) {
			if (!(error instanceof InvalidTlsFiles)) throw error;
			this.#warn(`${error.message}: going on with what was there before`);
		}
		return this.#context;
	}
}

function versionOf({ ca, cert, key }: TlsFiles): string {
	return fileVersions([ca, cert, key]);
}

function load(files: TlsFiles): SecureContext {
	const [ca, cert, key] = [read("ca", files.ca), read("cert", files.cert), read("key", files.key)];
	const openMode = openKeyMode(files.key);
	if (openMode) throw new InvalidTlsFiles(`agent_tls.key: ${openMode}`);
	checkAuthorities(files.ca, ca);
	try {
		return createSecureContext({ ca, cert, key, minVersion: "TLSv1.2" });
	} catch (cause) {
		const names = `${files.ca}, ${files.cert}, ${files.key}`;
		const code = (cause as NodeJS.ErrnoException).code ?? "no PEM";
		throw new InvalidTlsFiles(`agent_tls: ${names} do not go together (${code})`, { cause });
	}
}

/** OpenSSL takes a file without any for no authorities, and then there is no agent that can be trusted. */
function checkAuthorities(path: string, ca: Buffer): void {
	try {
		new X509Certificate(ca);
	} catch (cause) {
		throw new InvalidTlsFiles(`agent_tls.ca: ${path} has no certificate in PEM`, { cause });
	}
}

/** That others can read a file with a private key, or the group write it; undefined when all is well. */
export function openKeyMode(path: string): string | undefined {
	const mode = statSync(path).mode & 0o777;
	if ((mode & 0o027) === 0) return undefined;
	return `${path} has mode ${mode.toString(8).padStart(4, "0")}, expected 0600 or 0640`;
}

function read(option: keyof TlsFiles, path: string): Buffer {
	try {
		return readFileSync(path);
	} catch (cause) {
		throw new InvalidTlsFiles(`agent_tls.${option}: ${path}: ${(cause as NodeJS.ErrnoException).code}`, { cause });
	}
}

/** What is wrong, by the codes of Node.js and of OpenSSL's alerts. */
const PROBLEMS: readonly (readonly [problem: string, codes: RegExp])[] = [
	["its certificate has expired", /^CERT_HAS_EXPIRED$/],
	["its certificate is not valid yet", /^CERT_NOT_YET_VALID$/],
	["its certificate names it by a wildcard only", /^ERR_TLS_CERT_ALTNAME_WILDCARD$/],
	["its certificate is for another name", /^ERR_TLS_CERT_ALTNAME_/],
	[
		"its certificate is of an unknown authority",
		/SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|^CERT_(UNTRUSTED|SIGNATURE|CHAIN)|^INVALID_CA$/,
	],
	["its certificate is refused", /^CERT_|^(INVALID|PATH)_/],
	["there is no TLS at its port", /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/],
	["it has no TLS 1.2 or newer", /UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION/],
	["it refuses our client certificate", /^ERR_SSL_.*ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/],
	["the handshake failed", /^(ERR_SSL_|ERR_TLS_|EPROTO$)/],
];

/** What an error of a connection says about TLS, with its code; undefined when it is about something else. */
export function tlsProblem(code: string, message: string): string | undefined {
	// EPROTO is what Node.js says of an alert while it writes; OpenSSL's reason is in the message.
	const [, alert] = /:SSL routines:[^:]*:([^:]+):/.exec(message) ?? [];
	const named = code === "EPROTO" && alert ? `ERR_SSL_${alert.toUpperCase().replaceAll(" ", "_")}` : code;
	const problem = PROBLEMS.find(([, codes]) => codes.test(named))?.[0];
	return problem && `${problem} (${named})`;
}
