#include "memory/got.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

namespace opcache {

namespace {

// What the dynamic section says of a library: where its relocations are, and what they name.
struct Relocations {
  const ElfW(Sym) * symbols;
  const char *names;
  const ElfW(Rela) * tables[2];
  size_t counts[2];
};

struct Slot {
  void **at;
  Redirection *redirection;
};

// Pages that the dynamic linker made read-only when it was done.
struct Relro {
  ElfW(Addr) base;
  uintptr_t begin;
  uintptr_t end;
};

bool read_dynamic(const struct link_map *library, Relocations *r) {
  memset(r, 0, sizeof(*r));
  size_t bytes[2] = {0, 0};
  for (const ElfW(Dyn) *d = library->l_ld; d->d_tag != DT_NULL; ++d) {
    // glibc has added the base where it could write.
    const ElfW(Addr) given = d->d_un.d_ptr;
    const ElfW(Addr) address = given < library->l_addr ? library->l_addr + given : given;
    switch (d->d_tag) {
      case DT_SYMTAB:
        r->symbols = reinterpret_cast<const ElfW(Sym) *>(address);
        break;
      case DT_STRTAB:
        r->names = reinterpret_cast<const char *>(address);
        break;
      case DT_JMPREL:
        r->tables[0] = reinterpret_cast<const ElfW(Rela) *>(address);
        break;
      case DT_PLTRELSZ:
        bytes[0] = d->d_un.d_val;
        break;
      case DT_PLTREL:
        if (d->d_un.d_val != DT_RELA) return false;
        break;
      case DT_RELA:
        r->tables[1] = reinterpret_cast<const ElfW(Rela) *>(address);
        break;
      case DT_RELASZ:
        bytes[1] = d->d_un.d_val;
        break;
      case DT_RELAENT:
        if (d->d_un.d_val != sizeof(ElfW(Rela))) return false;
        break;
      default:
        break;
    }
  }
  for (int i = 0; i < 2; ++i) {
    r->counts[i] = r->tables[i] != nullptr ? bytes[i] / sizeof(ElfW(Rela)) : 0;
  }
  return r->symbols != nullptr && r->names != nullptr && r->counts[0] + r->counts[1] > 0;
}

// Returns how many slots there are for the redirections; more than `room` is not understood.
size_t find_slots(const struct link_map *library, const Relocations &r, Redirection *redirections,
                  size_t n, Slot *slots, size_t room) {
  size_t found = 0;
  for (int table = 0; table < 2; ++table) {
    for (size_t i = 0; i < r.counts[table]; ++i) {
      const ElfW(Rela) &at = r.tables[table][i];
      const unsigned type = static_cast<unsigned>(ELF64_R_TYPE(at.r_info));
      if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) continue;
      const char *name = r.names + r.symbols[ELF64_R_SYM(at.r_info)].st_name;
      for (size_t j = 0; j < n; ++j) {
        if (strcmp(name, redirections[j].function) != 0) continue;
        if (found < room) {
          slots[found].at = reinterpret_cast<void **>(library->l_addr + at.r_offset);
          slots[found].redirection = &redirections[j];
        }
        ++found;
      }
    }
  }
  return found;
}

// What the slot leads to. One that is bound lazily still points into its own library, and what it
// would lead to is looked up as the dynamic linker would.
void *original_of(const struct link_map *library, void *handle, const Slot &slot) {
  void *const target = *slot.at;
  Dl_info info;
  const bool elsewhere = target != nullptr && dladdr(target, &info) != 0 &&
                         reinterpret_cast<uintptr_t>(info.dli_fbase) != library->l_addr;
  if (elsewhere) return target;
  const char *const name = slot.redirection->function;
  void *const known = dlsym(RTLD_DEFAULT, name);
  return known != nullptr ? known : dlsym(handle, name);
}

int find_relro(struct dl_phdr_info *info, size_t, void *data) {
  Relro *const relro = static_cast<Relro *>(data);
  if (info->dlpi_addr != relro->base) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_GNU_RELRO) continue;
    const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    relro->begin = (relro->base + segment.p_vaddr) & ~(page - 1);
    relro->end = (relro->base + segment.p_vaddr + segment.p_memsz) & ~(page - 1);
  }
  return 1;
}

bool protect(const Relro &relro, int protection) {
  return relro.begin >= relro.end ||
         mprotect(reinterpret_cast<void *>(relro.begin), relro.end - relro.begin, protection) == 0;
}

}  // namespace

void *called_function(const struct link_map *library, void *handle, const char *name) {
  Relocations relocations;
  Redirection wanted = {name, nullptr, nullptr};
  Slot slot;
  const bool called = read_dynamic(library, &relocations) &&
                      find_slots(library, relocations, &wanted, 1, &slot, 1) > 0;
  return called ? original_of(library, handle, slot) : dlsym(handle, name);
}

size_t redirect(const struct link_map *library, void *handle, Redirection *redirections, size_t n,
                const char **why) {
  Relocations relocations;
  if (!read_dynamic(library, &relocations)) {
    *why = "its relocations are of a kind that is not known";
    return 0;
  }
  Slot slots[kMaxRedirectedSlots];
  const size_t found =
      find_slots(library, relocations, redirections, n, slots, kMaxRedirectedSlots);
  if (found == 0 || found > kMaxRedirectedSlots) {
    *why = found == 0 ? "it calls no allocator that is known" : "it has too many relocations";
    return 0;
  }
  size_t functions = 0;
  for (size_t i = 0; i < found; ++i) {
    Redirection *const r = slots[i].redirection;
    if (r->original != nullptr) continue;
    __atomic_store_n(&r->original, original_of(library, handle, slots[i]), __ATOMIC_RELEASE);
    if (r->original == nullptr) {
      *why = "what it calls cannot be found";
      return 0;
    }
    ++functions;
  }
  Relro relro = {library->l_addr, 0, 0};
  dl_iterate_phdr(find_relro, &relro);
  if (!protect(relro, PROT_READ | PROT_WRITE)) {
    *why = "the system does not allow it";
    return 0;
  }
  for (size_t i = 0; i < found; ++i) {
    __atomic_store_n(slots[i].at, slots[i].redirection->to, __ATOMIC_RELEASE);
  }
  protect(relro, PROT_READ);
  return functions;
}

}  // namespace opcache
