import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DOMParser, type Element, onWarningStopParsing } from "@xmldom/xmldom";
import { MDEV_UUID } from "./collectors/mdev.ts";
import { readBounded } from "./sysfs.ts";

/** Where libvirt's QEMU driver keeps the status of the domains that run (`stateDir` in its qemu_conf.c). */
export const DEFAULT_LIBVIRT_DIR = "/run/libvirt/qemu";

const MAX_DOMAIN_BYTES = 1024 * 1024;

/** Which device is attached to which domain cannot be told; the message names the file. */
export class LibvirtError extends Error {
	override readonly name = "LibvirtError";
}

/** A device of the host that a live domain has. */
export interface Attachment {
	/** Uuid of the domain, which Nova makes equal to the uuid of the instance. */
	readonly instance: string;
	readonly kind: "pci" | "mdev";
	/** An `<interface type='hostdev'>`: Nova unplugs it before the migration and plugs a new one in afterwards. */
	readonly port: boolean;
}

/**
 * Reads the live domain status files: devices in use by id (PCI address or mdev uuid).
 * A missing directory means that no domain runs here.
 * @throws {LibvirtError} for a file that cannot be read or understood: to skip it would offer its devices as free
 */
export function readAttachments(directory: string): ReadonlyMap<string, Attachment> {
	const found = new Map<string, Attachment>();
	for (const file of statusFiles(directory)) {
		const path = join(directory, file);
		const content = readBounded(path, MAX_DOMAIN_BYTES);
		// The domain has ended since the directory was listed.
		if ("errno" in content && content.errno === "ENOENT") continue;
		if ("errno" in content) throw new LibvirtError(`domain status ${path} cannot be read: ${content.errno}`);
		for (const [id, attachment] of parseDomain(path, content)) {
			// Should two files name a device, it must continue if either says so.
			if (!attachment.port || !found.has(id)) found.set(id, attachment);
		}
	}
	return found;
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

function parseDomain(path: string, content: Uint8Array): readonly (readonly [string, Attachment])[] {
	try {
		const text = new TextDecoder("utf-8", { fatal: true }).decode(content);
		// libvirt writes no document type; refusing it leaves no entity to expand.
		if (/<!DOCTYPE/i.test(text)) throw new Error("it has a document type");
		const root = new DOMParser({ onError: onWarningStopParsing }).parseFromString(text, "text/xml").documentElement;
		const domain = root?.nodeName === "domstatus" ? children(root, "domain")[0] : root;
		if (domain?.nodeName !== "domain") throw new Error("expected <domain> or <domstatus> with a <domain>");
		const instance = children(domain, "uuid")[0]?.textContent?.trim().toLowerCase() ?? "";
		if (!MDEV_UUID.test(instance)) throw new Error("<uuid> of the domain is missing or no uuid");
		return children(domain, "devices")
			.flatMap((devices) => [...children(devices, "hostdev"), ...children(devices, "interface")])
			.flatMap((element) => attachments(element, instance));
	} catch (error) {
		const cause = error instanceof Error ? error.message : String(error);
		throw new LibvirtError(`domain status ${path} is not understood: ${cause.split("\n")[0]}`, { cause: error });
	}
}

function attachments(element: Element, instance: string): readonly (readonly [string, Attachment])[] {
	const port = element.nodeName === "interface";
	const type = element.getAttribute("type");
	const addresses = children(element, "source").flatMap((source) => children(source, "address"));
	if (type === (port ? "hostdev" : "pci")) {
		if (addresses.length === 0) throw new Error(`<${element.nodeName} type='${type}'> has no source address`);
		return addresses.map((address) => [pciAddress(address), { instance, kind: "pci", port }]);
	}
	if (type !== "mdev" || port) return [];
	return addresses.map((address) => {
		const uuid = address.getAttribute("uuid")?.toLowerCase() ?? "";
		if (!MDEV_UUID.test(uuid)) throw new Error("<hostdev type='mdev'> has no uuid");
		return [uuid, { instance, kind: "mdev", port }];
	});
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
