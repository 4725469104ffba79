/** Where libvirt's QEMU driver keeps the status of the domains that run (`stateDir` in its qemu_conf.c). */
export const DEFAULT_LIBVIRT_DIR = "/run/libvirt/qemu";

export const DEFAULT_OVERLAY_DIR = "/etc/novacompat/overlay.d";
