import type { Fault } from "./supervisor.ts";

/** What exchanges and queues are declared with, by its name in AMQP and, if need be, where: what it follows from, see topology.ts. */
const OPTIONS_OF: Readonly<Record<string, string>> = {
	"durable'": "amqp_durable_queues, rabbit_quorum_queue and rabbit_transient_quorum_queue",
	"auto_delete'": "amqp_auto_delete",
	"x-queue-type'": "rabbit_quorum_queue, rabbit_transient_quorum_queue and rabbit_stream_fanout",
	"x-delivery-limit'": "rabbit_quorum_delivery_limit",
	"x-max-in-memory-length'": "rabbit_quorum_max_memory_length",
	"x-max-in-memory-bytes'": "rabbit_quorum_max_memory_bytes",
	"x-(expires|max-age)' for queue '(reply_|[^']*_fanout)": "rabbit_transient_queues_ttl",
};

/** The words of RabbitMQ about a message of more bytes than it takes, with how many those are. */
const TOO_LARGE = / larger than (?:configured )?max size (\d+)/;

/** What amqplib, Node or OpenSSL say; what an operator should look at; whether only a change of something will help. */
const HINTS: readonly (readonly [says: RegExp, hint: string, refused: boolean])[] = [
	[/^refused: 403 /, "check user name and password", true],
	[/ \(ACCESS-REFUSED\) /, "check the permissions of the user (rabbitmqctl set_permissions)", true],
	[/^No channels left to allocate/, "raise channel_max (rabbitmq.conf)", true],
	[TOO_LARGE, "raise max_message_size (rabbitmq.conf)", true],
	[/ limit (in|of|\(\d+\) is) /, "raise it (rabbitmqctl set_vhost_limits, set_user_limits, or rabbitmq.conf)", true],
	[/^refused: \d+ .* vhost .* not found/, "check the virtual host in transport_url", true],
	[
		/^refused: \d+ .* access to vhost .* refused for user '[^']*'\)$/,
		"check the permissions of the user (rabbitmqctl set_permissions)",
		true,
	],
	...Object.entries(OPTIONS_OF).map(([arg, options]) => {
		const says = new RegExp(` \\(PRECONDITION-FAILED\\) .* inequivalent arg '${arg}`);
		return [says, `${options} must be as in nova.conf`, true] as const;
	}),
	[
		/ \(PRECONDITION-FAILED\) .* inequivalent arg /,
		"no option makes it so: delete it, and it is declared as here; such arguments are for a policy (rabbitmqctl set_policy)",
		true,
	],
	[
		/ \(PRECONDITION-FAILED\) .* invalid arg /,
		"amqp_durable_queues, amqp_auto_delete and the rabbit_* options must be as in nova.conf",
		true,
	],
	[/ \(NOT-FOUND\) .* no exchange /, "nobody has declared it yet: check control_exchange and the virtual host", false],
	[/ \(RESOURCE-LOCKED\) /, "another program uses it alone", true],
	[/transient_nonexcl_queues/, "set rabbit_quorum_queue and rabbit_transient_quorum_queue, in nova.conf too", true],
	[/^ENOTFOUND/, "check transport_url", true],
	[/SASL mechanism/, "check rabbit_login_method", true],
	[/^CERT_HAS_EXPIRED/, "renew the certificate of the broker, or of its CA", true],
	[/^CERT_NOT_YET_VALID/, "check the clocks", true],
	[/^ERR_TLS_CERT_ALTNAME_INVALID/, "the certificate is for another name than that in transport_url", true],
	[
		/^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE)/,
		"set ssl_ca_file to the CA that signed the certificate of the broker",
		true,
	],
	[/^ERR_SSL_WRONG_VERSION_NUMBER/, "this is not a TLS port: check ssl and the port", true],
	[/^ERR_SSL_\w*CERTIFICATE_REQUIRED/, "the broker wants ssl_cert_file and ssl_key_file", true],
	[/^ERR_SSL_\w*ALERT_CERTIFICATE_EXPIRED/, "renew ssl_cert_file", true],
	[/^ERR_SSL_\w*ALERT/, "the broker does not accept ssl_cert_file", true],
	[/^(ENOENT|EACCES|EISDIR)|^ERR_OSSL/, "check ssl_ca_file, ssl_cert_file and ssl_key_file", true],
	[/^Frame size|Invalid frame|Unknown frame type/, "this is not an AMQP port", false],
];

/** What an error of a connection or a channel means. Neither amqplib nor Node puts a password into one. */
export function explain(error: unknown): Fault {
	const cause = reasonOf(error);
	if (!(cause instanceof Error)) return { text: String(cause), refused: false };
	const message = messageOf(cause);
	if (isTlsAlert(message)) return { text: "this is a TLS port: set ssl", refused: true };
	const code = "code" in cause ? String(cause.code) : "";
	const [, hint, refused = false] = HINTS.find(([says]) => says.test(code) || says.test(message)) ?? [];
	// OpenSSL's own texts have addresses and source lines.
	const what = code.startsWith("ERR_SSL") ? code : message;
	return { text: hint === undefined ? what : `${what}: ${hint}`, refused };
}

/** How large a message may be, if it was refused because it is larger. */
export function largestTaken({ message }: Error): number | undefined {
	const [, bytes] = TOO_LARGE.exec(message) ?? [];
	return bytes === undefined ? undefined : Number(bytes);
}

/** Node says of a socket that we gave up only that it was aborted. */
function reasonOf(error: unknown): unknown {
	return error instanceof Error && error.name === "AbortError" && error.cause !== undefined ? error.cause : error;
}

/** Of a name with several addresses Node.js says what happened at each, and nothing itself. */
function messageOf(error: Error): string {
	if (!(error instanceof AggregateError)) return error.message;
	return error.errors.map((each) => (each instanceof Error ? each.message : String(each))).join(", ");
}

/** Read as an AMQP frame, the alert with which TLS answers us (0x15 0x03 0x03 0x00 0x02 0x02) has a size of 0x000202... */
function isTlsAlert(message: string): boolean {
	const [, size] = /^Frame size (\d+) exceeds/.exec(message) ?? [];
	return Number(size) >> 8 === 0x0202;
}
