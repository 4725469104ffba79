import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DOMParser, type Element, onWarningStopParsing, ParseError } from "@xmldom/xmldom";
import { attempt, readBounded } from "./bounded-file.ts";
import { MDEV_UUID } from "./collectors/mdev.ts";
import { withRights } from "./rights.ts";

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
	/** What the guest has of it moves without the state of the host's device, as an `<interface>` or one with `<teaming>` does, or it has nothing of it. */
	readonly port: boolean;
	readonly guest: GuestDevice;
}

/** What the guest has of it. */
export interface GuestDevice {
	/** `hostdev0`; libvirt gives every device of a live domain one. */
	readonly alias?: string;
	/** Where the guest sees it: a PCI address, or `fe.0.0001` on its channel subsystem. A vfio-ap device has none. */
	readonly guest_address?: string;
}

/** Devices by uuid of the domain, which Nova makes equal to that of the instance. */
export type Domains = ReadonlyMap<string, readonly DomainDevice[]>;

/**
 * Reads the status files of live domains. There is no directory before libvirt's first start, nor on a host without libvirt: no
 * domain runs here then. That is no error, but should instances run all the same, their devices look free.
 * @throws {LibvirtError} for a file that cannot be read or understood: to skip it would offer its devices as free
 */
export function readDomains(directory: string): Domains {
	return domainsIn(directory, parseDomain);
}

/**
 * Reads the definitions of domains, live or not. What an operator has put beside them, libvirt passes over as well.
 * @throws {LibvirtError} for a file that cannot be read
 */
export function readDefinitions(directory: string): Domains {
	return domainsIn(directory, (path, content) => {
		try {
			return parseDomain(path, content);
		} catch (error) {
			if (error instanceof LibvirtError) return undefined;
			throw error;
		}
	});
}

/** Whether there is a file of one; none where there is no directory. @throws {LibvirtError} when it cannot be listed */
export function hasDomains(directory: string): boolean {
	return domainFiles(directory).length > 0;
}

function domainsIn(directory: string, parse: (path: string, content: Uint8Array) => Domain | undefined): Domains {
	const found = new Map<string, readonly DomainDevice[]>();
	for (const file of domainFiles(directory)) {
		const path = join(directory, file);
		const content = readBounded(path, MAX_DOMAIN_BYTES);
		// The domain has gone since the directory was listed.
		if ("errno" in content && content.errno === "ENOENT") continue;
		if ("errno" in content) throw new LibvirtError(`domain file ${path} cannot be read: ${withRights(content.errno)}`);
		const domain = parse(path, content);
		if (domain) found.set(domain.instance, [...(found.get(domain.instance) ?? []), ...domain.devices]);
	}
	return found;
}

function domainFiles(directory: string): readonly string[] {
	const names = attempt(() => readdirSync(directory));
	if (!("errno" in names)) return names.filter((name) => name.endsWith(".xml")).sort();
	if (names.errno === "ENOENT") return [];
	throw new LibvirtError(`libvirt directory ${directory} cannot be listed: ${withRights(names.errno)}`);
}

interface Domain {
	readonly instance: string;
	readonly devices: readonly DomainDevice[];
}

function parseDomain(path: string, content: Uint8Array): Domain {
	try {
		// What the parser takes for the trace of a wrong encoding, and refuses, may be in the name of a guest, which nobody keeps.
		const text = new TextDecoder("utf-8", { fatal: true }).decode(content).replaceAll("\ufffd", "?");
		const document = new DOMParser({ onError: onWarningStopParsing }).parseFromString(withoutUnread(text), "text/xml");
		// libvirt writes none. The parser expands no entity that one defines, but takes it for a mistake.
		if (document.doctype) throw new Error("it has a document type");
		const root = document.documentElement;
		const domain = root?.nodeName === "domstatus" ? children(root, "domain")[0] : root;
		if (domain?.nodeName !== "domain") throw new Error("expected <domain> or <domstatus> with a <domain>");
		const instance = children(domain, "uuid")[0]?.textContent?.trim().toLowerCase() ?? "";
		if (!MDEV_UUID.test(instance)) throw new Error("<uuid> of the domain is missing or no uuid");
		const devices = children(domain, "devices")
			.flatMap((element) => ["hostdev", "interface", "disk"].flatMap((name) => children(element, name)))
			.flatMap(devicesOf);
		return { instance, devices };
	} catch (error) {
		throw new LibvirtError(`domain file ${path} is not understood: ${causeOf(error)}`);
	}
}

const ATTRIBUTES = "(?: [A-Za-z_][\\w.-]*='[^'<>&\\n]*')*";
/** Names of elements without content that are many in a status, and never looked for. */
const UNREAD = "flag|feature|device|vcpu|model|target|host|nodename|driver";
const UNREAD_LINES = new RegExp(
	`^ *<(?:(?:${UNREAD})${ATTRIBUTES}/>|controller${ATTRIBUTES}>\n(?: *<[a-z]+${ATTRIBUTES}/>\n)* *</controller>)$`,
	"gm",
);

/**
 * What libvirt prints of QEMU, the processor and controllers is most of a status, nobody asks for it, and a scan spends most of its time in
 * the parser where many guests run. It is left out where it stands in lines of its own, as libvirt prints it, without a character that could
 * be anything but the text of an attribute. Lines keep their numbers.
 */
function withoutUnread(domain: string): string {
	return domain.replace(UNREAD_LINES, (lines) => lines.replace(/[^\n]+/g, ""));
}

/** The parser quotes what it cannot read, and there are passwords of consoles in such a file. */
function causeOf(error: unknown): string {
	if (!(error instanceof ParseError)) return error instanceof Error ? error.message : String(error);
	const { lineNumber = 0, columnNumber = 0 } = (error.locator ?? {}) as { lineNumber?: number; columnNumber?: number };
	return `line ${lineNumber}, column ${columnNumber}: no well-formed XML`;
}

function devicesOf(element: Element): readonly DomainDevice[] {
	const guest = { ...aliasOf(element), ...guestAddressOf(element) };
	return hostDevicesOf(element).map((device) => ({ ...device, guest }));
}

/** The characters that libvirt accepts in one. */
function aliasOf(element: Element): Pick<GuestDevice, "alias"> {
	const alias = children(element, "alias")[0]?.getAttribute("name") ?? "";
	return /^[A-Za-z0-9_-]{1,256}$/.test(alias) ? { alias } : {};
}

/** Told and never decided by, so one that is not understood is left out. */
function guestAddressOf(element: Element): Pick<GuestDevice, "guest_address"> {
	const [address] = children(element, "address");
	const type = address?.getAttribute("type");
	if (address === undefined || (type !== "pci" && type !== "ccw")) return {};
	const guest_address = type === "pci" ? pciAddress(address) : ccwAddress(address);
	return guest_address === undefined ? {} : { guest_address };
}

type HostDevice = Omit<DomainDevice, "guest">;

function hostDevicesOf(element: Element): readonly HostDevice[] {
	if (element.nodeName === "disk") return devicesOfDisk(element);
	return element.nodeName === "interface" ? devicesOfInterface(element) : devicesOfHostdev(element);
}

function devicesOfHostdev(element: Element): readonly HostDevice[] {
	const type = element.getAttribute("type");
	if (type === "pci") return pciDevices(element, isUnpluggedByQemu(element) || isHidden(element));
	if (type !== "mdev") return [];
	return addressesIn(element).map((address) => {
		const uuid = address.getAttribute("uuid")?.toLowerCase() ?? "";
		if (!MDEV_UUID.test(uuid)) throw new Error("<hostdev type='mdev'> has no uuid");
		return { kind: "mdev", source: uuid, port: false };
	});
}

/** A network device with a virtio interface beside it, which serves the guest while it is migrated. */
function isUnpluggedByQemu(element: Element): boolean {
	return children(element, "teaming").some((teaming) => teaming.getAttribute("type") === "transient");
}

/** For the sake of its IOMMU group libvirt takes it from the host, and QEMU gets none of it: it has no state that could move. */
function isHidden(element: Element): boolean {
	return children(element, "address").some((address) => address.getAttribute("type") === "unassigned");
}

function devicesOfInterface(element: Element): readonly HostDevice[] {
	// Of an interface from the pool of a network libvirt says here what it has taken.
	const [actual = element] = children(element, "actual");
	const type = actual.getAttribute("type");
	if (type === "hostdev") return isUsb(actual) ? [] : pciDevices(actual, true);
	if (type !== "vdpa" && type !== "direct") return [];
	// In the other modes of macvtap a network interface serves many guests.
	const isExclusive = (source: Element) => type === "vdpa" || source.getAttribute("mode") === "passthrough";
	return children(actual, "source")
		.filter(isExclusive)
		.map((source) => ({ kind: type, source: deviceFile(actual, source), port: true }));
}

/** Without a type of address libvirt takes what has a vendor for a USB device. */
function isUsb(element: Element): boolean {
	return children(element, "source").some((source) => {
		const addresses = children(source, "address");
		return addresses.some((address) => address.getAttribute("type") === "usb") || children(source, "vendor").length > 0;
	});
}

/** Of the images below a disk too, of what has their data, and of one that it is being copied to: libvirt takes the device of each. */
function devicesOfDisk(image: Element): readonly HostDevice[] {
	const stores = children(image, "source").flatMap((source) => children(source, "dataStore"));
	const images = ["backingStore", "mirror"].flatMap((name) => children(image, name));
	const others = [...stores, ...images].flatMap(devicesOfDisk);
	const type = image.getAttribute("type");
	if (type === "nvme") return [...pciDevices(image, false), ...others];
	if (type !== "vhostvdpa") return others;
	const sources = children(image, "source").map((source) => deviceFile(image, source));
	return [...sources.map((source) => ({ kind: "vdpa", source, port: false }) as const), ...others];
}

function pciDevices(element: Element, port: boolean): readonly HostDevice[] {
	return addressesIn(element).map((address) => {
		const source = pciAddress(address);
		if (source === undefined) throw new Error("a PCI source address needs domain, bus, slot and function");
		return { kind: "pci", source, port };
	});
}

function deviceFile(element: Element, source: Element): string {
	const dev = source.getAttribute("dev");
	if (dev) return dev;
	throw new Error(`<${element.nodeName} type='${element.getAttribute("type")}'> has no source dev`);
}

function addressesIn(element: Element): readonly Element[] {
	const addresses = children(element, "source").flatMap((source) => children(source, "address"));
	if (addresses.length > 0) return addresses;
	throw new Error(`<${element.nodeName} type='${element.getAttribute("type")}'> has no source address`);
}

/** `<address domain='0x0000' bus='0x3b' slot='0x10' function='0x2'/>` in the kernel's spelling, `0000:3b:10.2`. */
function pciAddress(address: Element): string | undefined {
	const parts = hexadecimal(address, { domain: 4, bus: 2, slot: 2, function: 1 });
	return parts && `${parts.domain}:${parts.bus}:${parts.slot}.${parts.function}`;
}

/** `<address type='ccw' cssid='0xfe' ssid='0x0' devno='0x0001'/>` in the spelling of QEMU and of the guest's kernel. */
function ccwAddress(address: Element): string | undefined {
	const parts = hexadecimal(address, { cssid: 2, ssid: 1, devno: 4 });
	return parts && `${parts.cssid}.${parts.ssid}.${parts.devno}`;
}

/** Numbers of an address, with so many digits each; undefined unless all are there. A domain may be left out. */
function hexadecimal<Name extends string>(
	address: Element,
	digits: Readonly<Record<Name, number>>,
): Readonly<Record<Name, string>> | undefined {
	const names = Object.keys(digits) as Name[];
	const texts = names.map((name) => address.getAttribute(name) ?? (name === "domain" ? "0" : ""));
	if (!texts.every((text) => /^(0x[0-9a-f]{1,8}|[0-9]{1,8})$/i.test(text))) return undefined;
	const parts = names.map((name, index) => [name, Number(texts[index]).toString(16).padStart(digits[name], "0")]);
	return Object.fromEntries(parts);
}

/** Direct children only: a domain's metadata may hold anything, also elements called `hostdev`. */
function children(parent: Element, name: string): readonly Element[] {
	return Array.from(parent.childNodes).filter((node): node is Element => node.nodeType === 1 && node.nodeName === name);
}
