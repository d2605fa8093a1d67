#include "io/file_system.h"

#include <stddef.h>
#include <sys/vfs.h>

/* The numbers are those of statfs(2). */
static const struct {
    unsigned type;
    struct file_system system;
} known[] = {
    {0xEF53, {"ext4", false}},
    {0x58465342, {"xfs", false}},
    {0x9123683E, {"btrfs", false}},
    {0x01021994, {"tmpfs", false}},
    {0x794c7630, {"overlay", false}},
    {0x65735546, {"fuse", false}}, /* of either sort: nobody can tell */
    {0x2FC12FC1, {"zfs", false}},
    {0x01021997, {"9p", false}}, /* a virtual machine's own host */
    {0x6969, {"nfs", true}},
    {0xFF534D42, {"cifs", true}},
    {0xFE534D42, {"smb2", true}},
    {0x5346414F, {"afs", true}},
    {0x0BD00BD0, {"lustre", true}},
    {0x47504653, {"gpfs", true}},
    {0x19830326, {"beegfs", true}},
    {0x00C36400, {"ceph", true}},
    {0xAAD7AAEA, {"panfs", true}},
};

status file_system_find(struct file_system *found, const char *path) {
    struct statfs about;
    if (statfs(path, &about) != 0) {
        FAIL(STATUS_NOT_FOUND, "there is no folder %s", path);
    }
    *found = (struct file_system){"unknown", false};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].type == (unsigned)about.f_type) {
            *found = known[i].system;
        }
    }
    return STATUS_OK;
}
