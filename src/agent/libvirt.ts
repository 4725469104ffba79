import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DOMParser, type Element, onWarningStopParsing } from "@xmldom/xmldom";
import { readBounded } from "./bounded-file.ts";
import { MDEV_UUID } from "./collectors/mdev.ts";

/** Where libvirt's QEMU driver keeps the status of the domains that run (`stateDir` in its qemu_conf.c). */
export const DEFAULT_LIBVIRT_DIR = "/run/libvirt/qemu";

const MAX_DOMAIN_BYTES = 1024 * 1024;

/** Which device is attached to which domain cannot be told; the message names the file. */
export class LibvirtError extends Error {
	override readonly name = "LibvirtError";
}

/** A device of the host that a live domain has, as libvirt names it. */
export interface DomainDevice {
	readonly kind: "pci" | "mdev" | "vdpa" | "direct";
	/** PCI address, mdev uuid, `/dev/vhost-vdpa-0`, or the network interface below a macvtap that has it for itself. */
	readonly source: string;
	/** Stands in an `<interface>`: what the guest has of it moves without the state of the host's device. */
	readonly port: boolean;
}

/**
 * Reads the live domain status files: devices by uuid of the domain, which Nova makes equal to that of the instance.
 * A missing directory means that no domain runs here, see `isLibvirtThere`.
 * @throws {LibvirtError} for a file that cannot be read or understood: to skip it would offer its devices as free
 */
export function readDomains(directory: string): ReadonlyMap<string, readonly DomainDevice[]> {
	const found = new Map<string, readonly DomainDevice[]>();
	for (const file of statusFiles(directory)) {
		const path = join(directory, file);
		const content = readBounded(path, MAX_DOMAIN_BYTES);
		// The domain has ended since the directory was listed.
		if ("errno" in content && content.errno === "ENOENT") continue;
		if ("errno" in content) throw new LibvirtError(`domain status ${path} cannot be read: ${content.errno}`);
		const { instance, devices } = parseDomain(path, content);
		found.set(instance, [...(found.get(instance) ?? []), ...devices]);
	}
	return found;
}

/**
 * There is none before libvirt's first start, nor on a host without libvirt: no error, but should instances run all the same,
 * their devices look free.
 */
export function isLibvirtThere(directory = DEFAULT_LIBVIRT_DIR): boolean {
	return existsSync(directory);
}

function statusFiles(directory: string): readonly string[] {
	try {
		return readdirSync(directory)
			.filter((name) => name.endsWith(".xml"))
			.sort();
	} catch (error) {
		if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
		throw new LibvirtError(`libvirt directory ${directory} cannot be listed`, { cause: error });
	}
}

interface Domain {
	readonly instance: string;
	readonly devices: readonly DomainDevice[];
}

function parseDomain(path: string, content: Uint8Array): Domain {
	try {
		const text = new TextDecoder("utf-8", { fatal: true }).decode(content);
		// libvirt writes no document type; refusing it leaves no entity to expand.
		if (/<!DOCTYPE/i.test(text)) throw new Error("it has a document type");
		const root = new DOMParser({ onError: onWarningStopParsing }).parseFromString(text, "text/xml").documentElement;
		const domain = root?.nodeName === "domstatus" ? children(root, "domain")[0] : root;
		if (domain?.nodeName !== "domain") throw new Error("expected <domain> or <domstatus> with a <domain>");
		const instance = children(domain, "uuid")[0]?.textContent?.trim().toLowerCase() ?? "";
		if (!MDEV_UUID.test(instance)) throw new Error("<uuid> of the domain is missing or no uuid");
		const devices = children(domain, "devices")
			.flatMap((element) => [...children(element, "hostdev"), ...children(element, "interface")])
			.flatMap(devicesOf);
		return { instance, devices };
	} catch (error) {
		const cause = error instanceof Error ? error.message : String(error);
		throw new LibvirtError(`domain status ${path} is not understood: ${cause.split("\n")[0]}`, { cause: error });
	}
}

function devicesOf(element: Element): readonly DomainDevice[] {
	const port = element.nodeName === "interface";
	const type = element.getAttribute("type");
	const sources = children(element, "source");
	if (type === (port ? "hostdev" : "pci")) {
		return addressesIn(element, sources).map((address) => ({ kind: "pci", source: pciAddress(address), port }));
	}
	if (type === "mdev" && !port) {
		return addressesIn(element, sources).map((address) => {
			const uuid = address.getAttribute("uuid")?.toLowerCase() ?? "";
			if (!MDEV_UUID.test(uuid)) throw new Error("<hostdev type='mdev'> has no uuid");
			return { kind: "mdev", source: uuid, port };
		});
	}
	if (!port || (type !== "vdpa" && type !== "direct")) return [];
	// In the other modes of macvtap a network interface serves many guests.
	const exclusive = sources.filter((source) => type === "vdpa" || source.getAttribute("mode") === "passthrough");
	return exclusive.map((source) => {
		const dev = source.getAttribute("dev");
		if (!dev) throw new Error(`<interface type='${type}'> has no source dev`);
		return { kind: type, source: dev, port };
	});
}

function addressesIn(element: Element, sources: readonly Element[]): readonly Element[] {
	const addresses = sources.flatMap((source) => children(source, "address"));
	if (addresses.length > 0) return addresses;
	throw new Error(`<${element.nodeName} type='${element.getAttribute("type")}'> has no source address`);
}

/** `<address domain='0x0000' bus='0x3b' slot='0x10' function='0x2'/>` in the kernel's spelling, `0000:3b:10.2`. */
function pciAddress(address: Element): string {
	const part = (name: string, digits: number): string => {
		const text = address.getAttribute(name) ?? (name === "domain" ? "0" : "");
		if (!/^(0x[0-9a-f]{1,8}|[0-9]{1,8})$/i.test(text)) throw new Error(`PCI source address has no ${name}`);
		return Number(text).toString(16).padStart(digits, "0");
	};
	return `${part("domain", 4)}:${part("bus", 2)}:${part("slot", 2)}.${part("function", 1)}`;
}

/** Direct children only: a domain's metadata may hold anything, also elements called `hostdev`. */
function children(parent: Element, name: string): readonly Element[] {
	return Array.from(parent.childNodes).filter((node): node is Element => node.nodeType === 1 && node.nodeName === name);
}
