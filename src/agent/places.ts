/** Where libvirt's QEMU driver keeps the status of the domains that run (`stateDir` in its qemu_conf.c). */
export const DEFAULT_LIBVIRT_DIR = "/run/libvirt/qemu";

/** Where it keeps the definitions of all domains that have one (`configDir`), also of those that are shut off. */
export const DEFAULT_LIBVIRT_CONFIG_DIR = "/etc/libvirt/qemu";

export const DEFAULT_OVERLAY_DIR = "/etc/novacompat/overlay.d";
