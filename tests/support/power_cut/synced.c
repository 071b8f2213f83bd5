/* Preloaded into a process: keeps in the folder $SYNCED, by inode, what each successful fsync and fdatasync put on disk.

   N.file    a hard link, so that a file that is unlinked or replaced can be brought back
   N.length  of a file that is only written at its end: its length
   N.copy    of any other file: its content
   N.names   of a folder: its entries

   What is noted is read before the call, because a write during the call may miss the disk. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void copy(int fd, FILE *draft) {
    char here[64], part[65536];
    ssize_t count;
    /* To open SQLite's file again and close it would release its locks, so a readable descriptor is used itself. */
    int is_readable = (fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY;
    snprintf(here, sizeof here, "/proc/self/fd/%d", fd);
    int from = is_readable ? fd : open(here, O_RDONLY);
    for (off_t at = 0; (count = pread(from, part, sizeof part, at)) > 0; at += count) fwrite(part, 1, count, draft);
    if (!is_readable) close(from);
}

static void list(int fd, FILE *draft) {
    char here[64];
    snprintf(here, sizeof here, "/proc/self/fd/%d", fd);
    DIR *folder = opendir(here);
    for (struct dirent *entry; (entry = readdir(folder));) fprintf(draft, "%lu %s\n", entry->d_ino, entry->d_name);
    closedir(folder);
}

/* A server writes to the end of its append-only file, but opens only one that it has read with O_APPEND. A copy at each
   fsync would take all of its time. The size was read before, so that a write in between changes nothing. */
static int is_written_at_its_end(int fd, off_t size) {
    int flags = fcntl(fd, F_GETFL);
    return flags & O_APPEND || ((flags & O_ACCMODE) == O_WRONLY && lseek(fd, 0, SEEK_CUR) >= size);
}

static int sync_and_note(int fd, const char *call) {
    int (*sync)(int) = dlsym(RTLD_NEXT, call);
    char here[64], kept[PATH_MAX], drafted[PATH_MAX], noted[PATH_MAX];
    const char *keep = getenv("SYNCED");
    struct stat file;
    if (!keep || fstat(fd, &file) || !(S_ISDIR(file.st_mode) || S_ISREG(file.st_mode))) return sync(fd);
    int is_appended = is_written_at_its_end(fd, file.st_size);
    const char *kind = S_ISDIR(file.st_mode) ? "names" : is_appended ? "length" : "copy";
    snprintf(here, sizeof here, "/proc/self/fd/%d", fd);
    snprintf(kept, sizeof kept, "%s/%lu.file", keep, file.st_ino);
    snprintf(drafted, sizeof drafted, "%s/%lu.%d.draft", keep, file.st_ino, gettid());
    snprintf(noted, sizeof noted, "%s/%lu.%s", keep, file.st_ino, kind);
    if (S_ISREG(file.st_mode)) linkat(AT_FDCWD, here, AT_FDCWD, kept, AT_SYMLINK_FOLLOW);
    FILE *draft = fopen(drafted, "w");
    if (S_ISDIR(file.st_mode)) list(fd, draft);
    else if (is_appended) fprintf(draft, "%ld", file.st_size);
    else copy(fd, draft);
    fclose(draft);
    int result = sync(fd);
    if (result == 0) rename(drafted, noted);
    return result;
}

int fsync(int fd) { return sync_and_note(fd, "fsync"); }
int fdatasync(int fd) { return sync_and_note(fd, "fdatasync"); }
