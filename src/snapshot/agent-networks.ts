import { type LookupAddress, lookup } from "node:dns";
import { BlockList, isIPv6, type LookupFunction } from "node:net";

/** Where no agent is unless the operator says so: this machine, the link, groups. IPv4 in IPv6 is looked at as IPv4. */
const REFUSED = [
	"0.0.0.0/8",
	"127.0.0.0/8",
	"169.254.0.0/16",
	"224.0.0.0/4",
	"255.255.255.255/32",
	"::/96",
	"fe80::/10",
	"ff00::/8",
];
/** As many as can be tried in the time for a connection. */
const MAX_ADDRESSES = 4;

/** The name of an agent leads to where none may be. */
export const ADDRESS_REFUSED = "ERR_AGENT_ADDRESS";

/** Whether agents may be at an address; `networks` as in `192.0.2.0/24`, none: everywhere but in the refused ones. */
export function addressCheck(networks: readonly string[]): (address: string) => boolean {
	const listed = blockList(networks.length > 0 ? networks : REFUSED);
	return (address) => listed.check(address, isIPv6(address) ? "ipv6" : "ipv4") === networks.length > 0;
}

function blockList(networks: readonly string[]): BlockList {
	const list = new BlockList();
	for (const network of networks) {
		const [address = "", prefix] = network.split("/");
		list.addSubnet(address, Number(prefix), isIPv6(address) ? "ipv6" : "ipv4");
	}
	return list;
}

/**
 * The look-up of the connection itself: what was checked is what is connected to, whatever the name says a moment later. `refused` is
 * told where a name leads to; the error says that it may not, and nothing of the network to who asked for a check.
 */
export function lookupWithin(networks: readonly string[], refused: (text: string) => void): LookupFunction {
	const permits = addressCheck(networks);
	return (hostname, options, callback) => {
		lookup(hostname, { ...options, all: true }, (error, addresses) => {
			if (error) return callback(error, []);
			const permitted = addresses.filter(({ address }) => permits(address)).slice(0, MAX_ADDRESSES);
			const [first] = permitted;
			if (first === undefined) {
				refused(`${hostname} is at ${listOf(addresses)}, outside of agent_networks: no agent is asked there`);
				return callback(Object.assign(new Error("refused"), { code: ADDRESS_REFUSED }), []);
			}
			return options.all ? callback(null, permitted) : callback(null, first.address, first.family);
		});
	};
}

function listOf(addresses: readonly LookupAddress[]): string {
	return addresses
		.slice(0, MAX_ADDRESSES)
		.map(({ address }) => address)
		.join(", ");
}
