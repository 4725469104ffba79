import { Findings } from "../findings.ts";
import { commandOf, handlesOf, objectOf, type QuestionName, questionAbout, type Told, textOf } from "../tools.ts";
import { type ClassCollector, type Draft, hasDriver, physicalFunction } from "./collector.ts";
import { devlinkVersions, FIRMWARE, type VersionName } from "./devlink.ts";
import { addId } from "./pci-ids.ts";
import { vfNumbers } from "./sriov.ts";

const NAMES = ["migratable", "roce", "ipsec_crypto", "ipsec_packet", "max_io_eqs"] as const;

/** The id of the board and what it has been set up as. */
const PSID: VersionName = { attribute: "fw_psid", section: "fixed", keys: ["fw.psid"] };

/**
 * VFs of ConnectX and BlueField, which have the same device id from ConnectX-6 Dx on: what they are of, the PF's
 * `parent_device` and `fw_psid` tell. The PF's devlink instance has a port of flavour `pcivf` for each VF while its eswitch is in
 * mode switchdev, with what the VF may do as `function`: `enable`, `disable` or a number. In legacy mode there is no such port,
 * and these attributes are absent; so are those that the installed iproute2 does not know (migratable: 6.2, ipsec: 6.7,
 * max_io_eqs: 6.10). On hosts with very many VFs each PF has an answer of its own.
 *
 * Verified in Documentation/networking/devlink/devlink-port.rst and iproute2's devlink/devlink.c, `pr_out_port_function`.
 */
export const mlx5: ClassCollector = (host) => {
	const numberOf = vfNumbers(host.sysfs);
	const addVersions = devlinkVersions(host, [FIRMWARE, PSID]);
	const known = new Map<QuestionName, Ports>();
	function portsOf(pf: string): Ports {
		const question = questionAbout(host.told, "devlink port show", pf);
		const ports = known.get(question) ?? readPorts(host.told, question);
		known.set(question, ports);
		return ports;
	}
	const boards = new Map<string, Findings>();
	/** Read once: a PF has hundreds of VFs. */
	function boardOf(pf: string, device: Draft): Findings | undefined {
		const directory = boards.has(pf) ? undefined : physicalFunction(host, device);
		if (directory !== undefined) {
			const board = new Findings(directory);
			addId(board, "device", directory, "parent_device");
			boards.set(pf, board);
		}
		return boards.get(pf);
	}
	return (device) => {
		const { id, parent, found } = device;
		if (!hasDriver(device, "mlx5_vfio_pci") || parent === undefined) return;
		const board = boardOf(parent, device);
		if (board !== undefined) found.inherit(board);
		addVersions(device);
		const { functions, source } = portsOf(parent);
		if ("errno" in functions) {
			for (const name of NAMES) found.record(name, functions, source);
			return;
		}
		const own = functions.get(`${parent} ${numberOf(parent, id)}`);
		for (const name of NAMES) {
			const value = textOf(own?.[name]);
			if (value !== undefined) found.record(name, { value }, source);
		}
	};
};

/** What an answer says that VFs may do, by PF and number: `0000:06:00.0 2`. */
interface Ports {
	readonly functions: ReadonlyMap<string, ReturnType<typeof objectOf>> | { readonly errno: string };
	readonly source: string;
}

function readPorts(told: Told, question: QuestionName): Ports {
	const source = commandOf(question);
	const ports = handlesOf(told, question, "port") ?? new Map<string, Readonly<Record<string, unknown>>>();
	if ("errno" in ports) return { functions: ports, source };
	const functions = new Map<string, ReturnType<typeof objectOf>>();
	for (const [handle, port] of ports) {
		const [, pf] = /^pci\/([^/]+)\/\d+$/.exec(handle) ?? [];
		// The VF of another controller belongs to the host that a SmartNIC is plugged into.
		if (port["flavour"] !== "pcivf" || port["external"] === true) continue;
		functions.set(`${pf} ${textOf(port["vfnum"])}`, objectOf(port["function"]));
	}
	return { functions, source };
}
