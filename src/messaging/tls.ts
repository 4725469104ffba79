import { readFileSync } from "node:fs";
import type { RabbitOptions } from "./rabbit-options.ts";

/**
 * Read at each attempt, so that a renewed certificate is used without a restart. Without `ssl_ca_file` the authorities are those that
 * Node.js knows, as Python takes the machine's (`_wrap_socket_sni` of amqp/transport.py since 5.1; before that it verified nothing).
 */
export function tlsOptions(options: RabbitOptions) {
	const { ssl_ca_file, ssl_cert_file, ssl_key_file, ssl_verify, ssl_enforce_hostname_verification } = options;
	return {
		minVersion: "TLSv1.2" as const,
		...(ssl_ca_file !== undefined && { ca: readFileSync(ssl_ca_file) }),
		...(ssl_cert_file !== undefined && { cert: readFileSync(ssl_cert_file) }),
		...(ssl_key_file !== undefined && { key: readFileSync(ssl_key_file) }),
		rejectUnauthorized: ssl_verify,
		...(!ssl_enforce_hostname_verification && { checkServerIdentity: () => undefined }),
	};
}
