import { isIP } from "node:net";

/** Where a server listens; port 0 takes a free one. */
export interface Listen {
	readonly address: string;
	readonly port: number;
}

/** Reads `address:port`, an address of IPv6 in brackets; undefined for what is none. */
export function parseListen(value: unknown): Listen | undefined {
	const [, bracketed, plain, port] =
		/^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(typeof value === "string" ? value : "") ?? [];
	const address = bracketed ?? plain;
	return address === undefined || Number(port) > 65535 ? undefined : { address, port: Number(port) };
}

/** Whether two servers would want the same place; port 0 is one that nobody has. */
export function isSamePlace(one: Listen, other: Listen): boolean {
	return (
		one.port === other.port &&
		one.port !== 0 &&
		(isWithin(one.address, other.address) || isWithin(other.address, one.address))
	);
}

/** What listens on `::` has the addresses of IPv4 too. */
function isWithin(address: string, taken: string): boolean {
	return taken === address || taken === "::" || (taken === "0.0.0.0" && isIP(address) === 4);
}

/** Whether only this machine can reach it. */
export function isLoopback(address: string): boolean {
	return address === "::1" || address === "localhost" || (isIP(address) === 4 && address.startsWith("127."));
}
