import { createServer, type RequestListener } from "node:http";
import { createServer as createTcpServer } from "node:net";

/**
 * Agents of many hosts in one process, each at an address of its own below 127.0.0.0/8 on one port. Every second one takes
 * connections and never answers.
 */
const [count = 0, port = 0] = process.argv.slice(2).map(Number);
const DEVICES = 16;

/** `127.<high>.<low>.1`, away from the addresses that everybody uses. */
function addressOf(index: number): string {
	return `127.${100 + (index >> 8)}.${index & 255}.1`;
}

function agent(host: string): RequestListener {
	const devices = Array.from({ length: DEVICES }, (_value, index) => ({
		id: `0000:3b:${(index >> 3).toString(16).padStart(2, "0")}.${index & 7}`,
		kind: "pci",
		capacity: 1,
		attributes: {
			vendor: "15b3",
			device: "101e",
			driver: "mlx5_vfio_pci",
			software_version: "1.2.5",
			interface_version: "2.1.3",
			interface_version_compatible: "2.0.2-2.0.4,2.1.0-",
		},
		unreadable: {},
		...(index === 0 && { instance: "0e1d9b52-52f6-4a6c-8a1f-4d5f00000001" }),
	}));
	const boot_id = "7d0d1b0c-3a59-4a36-9d80-9f6f8a3c2f10";
	const body = JSON.stringify({ schema_version: "1.1", host, boot_id, generation: 1, devices });
	const headers = { ETag: `"${host}"`, "Collected-Age-Ms": "100", "Content-Type": "application/json" };
	return (request, response) => {
		if (request.headers["if-none-match"] === headers.ETag) response.writeHead(304, headers).end();
		else response.writeHead(200, headers).end(body);
	};
}

const listening = Array.from({ length: count }, (_value, index) => {
	const server =
		index % 2 === 0
			? createServer(agent(`h${index}`))
			: createTcpServer((socket) => socket.on("error", () => undefined));
	return new Promise<void>((resolve) => server.listen(port, addressOf(index), () => resolve()));
});
await Promise.all(listening);
process.stdout.write(`ready ${JSON.stringify(Array.from({ length: count }, (_value, index) => addressOf(index)))}\n`);
