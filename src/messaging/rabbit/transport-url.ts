import { isIPv6 } from "node:net";
import { InvalidTransportUrl } from "../errors.ts";
import { problemOfOption } from "./options.ts";

export interface TransportHost {
	readonly hostname: string;
	readonly port: number;
	readonly username: string;
	readonly password: string;
}

export interface TransportUrl {
	readonly driver: "rabbit" | "memory";
	/** In the order of the URL. */
	readonly hosts: readonly TransportHost[];
	readonly vhost: string;
	/** Options of `[oslo_messaging_rabbit]` that go before those of the section; options.ts merges them. */
	readonly query: ReadonlyMap<string, string>;
}

const DRIVERS: ReadonlyMap<string, TransportUrl["driver"]> = new Map([
	["rabbit", "rabbit"],
	["kombu", "rabbit"],
	["memory", "memory"],
]);
const AMQP_PORT = 5672;
const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]%]*))(?::(\d*))?$/;

/**
 * Reads `driver://[user[:pass]@]host[:port]{,...}[/vhost][?option=value{&...}]` as oslo.messaging does
 * (oslo_messaging/transport.py, TransportURL.parse): credentials belong to one host and are not inherited, a missing part
 * is `guest`, the port is 5672 also with TLS. Never puts a part of the URL that may be a piece of the password into an
 * error: one with an unencoded "/", "?", "#" or "," ends up anywhere.
 */
export function parseTransportUrl(text: string): TransportUrl {
	// In nova.conf a long one may go over several lines.
	const oneLine = text.replace(/[\t\r\n]/g, "");
	const [, scheme = "", rest = ""] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(oneLine) ?? [];
	// Not up to a "+", behind which kombu has names of its own: some mean TLS.
	const driver = DRIVERS.get(scheme.toLowerCase());
	if (driver === undefined) {
		const got = scheme === "" ? "no driver" : `driver "${scheme}"`;
		throw new InvalidTransportUrl(
			`transport_url has ${got}, expected rabbit://user:password@host:port/vhost or memory://; for TLS set ssl`,
		);
	}
	const [, netloc = "", path = "", query = ""] = /^([^/?#]*)([^?#]*)(?:\?([^#]*))?/.exec(rest) ?? [];
	if (rest.slice(netloc.length).includes("@")) {
		throw new InvalidTransportUrl(
			'transport_url has "@" behind the hosts, expected %40 there; in a password, percent-encode /?#,@:',
		);
	}
	const vhost = decode(path.slice(1));
	const oneAt = rest.split("@").length === 2;
	const hosts = netloc
		.split(",")
		.filter((item) => item !== "")
		.map((item) => parseHost(item, oneAt));
	return {
		driver,
		hosts: hosts.length > 0 ? hosts : [parseHost("", false)],
		vhost: vhost === "" || vhost === "/" ? "/" : vhost,
		query: parseQuery(query),
	};
}

/** A key that is there more than once has all of its values, joined with ","; one without a value is not there. */
function parseQuery(text: string): ReadonlyMap<string, string> {
	const query = new Map<string, string>();
	for (const [option, value] of new URLSearchParams(text)) {
		if (value === "") continue;
		const before = query.get(option);
		query.set(option, before === undefined ? value : `${before},${value}`);
	}
	for (const [option, value] of query) {
		const problem = problemOfOption(option, value);
		if (problem !== undefined) throw new InvalidTransportUrl(`transport_url has the option ${option}, ${problem}`);
	}
	return query;
}

/** What follows the only "@" of a URL is an address for certain, and may be shown. */
function parseHost(item: string, oneAt: boolean): TransportHost {
	const at = item.lastIndexOf("@");
	const credentials = at < 0 ? "" : item.slice(0, at);
	const colon = credentials.indexOf(":");
	const username = decode(colon < 0 ? credentials : credentials.slice(0, colon));
	const password = decode(colon < 0 ? "" : credentials.slice(colon + 1));
	const address = item.slice(at + 1);
	// Without brackets there is no port behind it (parse_host_port of oslo_utils/netutils.py).
	const [match, bracketed, plain, port] = ADDRESS.exec(isIPv6(address) ? `[${address}]` : address) ?? [];
	if (match === undefined || Number(port ?? 0) > 65535) {
		const got = oneAt && at >= 0 ? `the address "${address}"` : "an address";
		throw new InvalidTransportUrl(
			`transport_url has ${got}, expected host:port ([address]:port for IPv6); in a password, percent-encode /?#,@:`,
		);
	}
	const hostname = (bracketed ?? plain ?? "").toLowerCase();
	return {
		// Like kombu: "localhost" may mean ::1, where a broker often does not listen.
		hostname: hostname === "" || hostname === "localhost" ? "127.0.0.1" : hostname,
		port: Number(port ?? 0) || AMQP_PORT,
		username: username || "guest",
		password: password || "guest",
	};
}

/** As Python's unquote: what is not percent-encoded stays as it is. */
function decode(text: string): string {
	return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (bytes) => Buffer.from(bytes.replaceAll("%", ""), "hex").toString());
}
