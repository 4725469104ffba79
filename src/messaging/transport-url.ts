import { InvalidTransportUrl } from "./errors.ts";

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
}

const DRIVERS: Readonly<Record<string, TransportUrl["driver"]>> = {
	rabbit: "rabbit",
	kombu: "rabbit",
	memory: "memory",
};
const AMQP_PORT = 5672;

/**
 * Reads `driver://[user[:pass]@]host[:port]{,...}[/vhost]` as oslo.messaging does (oslo_messaging/transport.py,
 * TransportURL.parse): credentials belong to one host and are not inherited, a missing part is `guest`, the port is
 * 5672 also with TLS. Never puts the URL into an error: it holds a password.
 */
export function parseTransportUrl(text: string): TransportUrl {
	const [, scheme = "", rest = ""] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(text) ?? [];
	const driver = DRIVERS[scheme.toLowerCase().split("+", 1)[0] ?? ""];
	if (driver === undefined) {
		const got = scheme === "" ? "no driver" : `driver "${scheme}"`;
		throw new InvalidTransportUrl(
			`transport_url has ${got}, expected rabbit://user:password@host:port/vhost or memory://`,
		);
	}
	const [location = "", query] = rest.split("?", 2);
	if (query) {
		const option = query.split("=", 1)[0];
		throw new InvalidTransportUrl(`transport_url has the option "${option}", expected no options`);
	}
	const slash = location.indexOf("/");
	const netloc = slash < 0 ? location : location.slice(0, slash);
	const path = slash < 0 ? "" : decode(location.slice(slash + 1), "virtual host");
	const hosts = netloc
		.split(",")
		.filter((item) => item !== "")
		.map(parseHost);
	return { driver, hosts: hosts.length > 0 ? hosts : [parseHost("")], vhost: path === "" || path === "/" ? "/" : path };
}

function parseHost(item: string): TransportHost {
	const at = item.lastIndexOf("@");
	const credentials = at < 0 ? "" : item.slice(0, at);
	const colon = credentials.indexOf(":");
	const username = decode(colon < 0 ? credentials : credentials.slice(0, colon), "user name");
	const password = decode(colon < 0 ? "" : credentials.slice(colon + 1), "password");
	const address = item.slice(at + 1);
	const [match, bracketed, plain, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(address) ?? [];
	if (match === undefined || Number(port ?? 0) > 65535) {
		throw new InvalidTransportUrl(
			`transport_url has the address "${address}", expected host:port ([address]:port for IPv6)`,
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

function decode(text: string, part: string): string {
	try {
		return decodeURIComponent(text);
	} catch (cause) {
		throw new InvalidTransportUrl(`transport_url has a ${part} that is not percent-encoded`, { cause });
	}
}
