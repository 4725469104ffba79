import { readFileSync } from "node:fs";
import type { RabbitOptions } from "./rabbit-options.ts";

/** Read at each attempt, so that a renewed certificate is used without a restart. */
export function tlsOptions(options: RabbitOptions) {
	const { ssl_ca_file, ssl_cert_file, ssl_key_file, ssl_enforce_hostname_verification } = options;
	return {
		...(ssl_ca_file !== undefined && { ca: readFileSync(ssl_ca_file) }),
		...(ssl_cert_file !== undefined && { cert: readFileSync(ssl_cert_file) }),
		...(ssl_key_file !== undefined && { key: readFileSync(ssl_key_file) }),
		rejectUnauthorized: ssl_ca_file !== undefined,
		...(!ssl_enforce_hostname_verification && { checkServerIdentity: () => undefined }),
	};
}
