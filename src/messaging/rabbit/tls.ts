import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { InvalidRabbitOptions } from "../errors.ts";
import type { RabbitOptions } from "./options.ts";

/**
 * Read at each attempt, so that a renewed certificate is used without a restart. Without `ssl_ca_file` the authorities are those that
 * Node.js knows, as Python takes the machine's (`_wrap_socket_sni` of amqp/transport.py since 5.1; before that it verified nothing).
 */
export function tlsOptions(options: RabbitOptions) {
	const { ssl_ca_file, ssl_cert_file, ssl_verify, ssl_enforce_hostname_verification } = options;
	const keyFile = keyFileOf(options);
	return {
		minVersion: "TLSv1.2" as const,
		...(ssl_ca_file !== undefined && { ca: readFileSync(ssl_ca_file) }),
		...(ssl_cert_file !== undefined && { cert: readFileSync(ssl_cert_file) }),
		...(keyFile !== undefined && { key: readFileSync(keyFile) }),
		rejectUnauthorized: ssl_verify,
		...(!ssl_enforce_hostname_verification && { checkServerIdentity: () => undefined }),
	};
}

/** Without `ssl_key_file` the key is in the file of the certificate, as for Python (`load_cert_chain`). */
function keyFileOf({ ssl_cert_file, ssl_key_file }: RabbitOptions): string | undefined {
	return ssl_key_file ?? ssl_cert_file;
}

/** Paths of what `tlsOptions` reads, without TLS none; the last one is that of the key. */
export function tlsFiles(options: RabbitOptions): { readonly all: readonly string[]; readonly key?: string } {
	if (!options.ssl) return { all: [] };
	const { ssl_ca_file: ca, ssl_cert_file: certificate } = options;
	const key = keyFileOf(options);
	const all = new Set([ca, certificate, key].filter((file) => file !== undefined));
	return { all: [...all], ...(key !== undefined && { key }) };
}

/** That `tlsOptions` can be used; throws InvalidRabbitOptions, which names the file and what was expected. */
export function checkTlsFiles(options: RabbitOptions): void {
	if (!options.ssl) return;
	const { ssl_ca_file: ca, ssl_cert_file: certificate } = options;
	const key = keyFileOf(options);
	if (ca !== undefined) using("ssl_ca_file", ca, "certificates", (pem) => new X509Certificate(pem));
	if (certificate === undefined || key === undefined) return;
	const leaf = using("ssl_cert_file", certificate, "a certificate", (pem) => new X509Certificate(pem));
	const named = options.ssl_key_file === undefined ? "ssl_cert_file" : "ssl_key_file";
	const privateKey = using(named, key, "a private key without a passphrase", createPrivateKey);
	if (!leaf.checkPrivateKey(privateKey)) {
		throw new InvalidRabbitOptions(`${named}: ${key} is not the key of ${certificate}`);
	}
}

function using<T>(option: string, file: string, expected: string, read: (pem: Buffer) => T): T {
	try {
		return read(readFileSync(file));
	} catch (cause) {
		const code = (cause as NodeJS.ErrnoException).code ?? "no PEM";
		throw new InvalidRabbitOptions(`${option}: ${file} cannot be used (${code}), expected ${expected} in PEM`, {
			cause,
		});
	}
}
