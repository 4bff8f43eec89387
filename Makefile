# A thin face on `cargo xtask` for people who come from Xvisor; `cargo xtask help` tells more.
#
#   make                 build the hypervisor's image
#   make run             boot it in QEMU with a guest         ARGS="--guests 2"
#   make test            every test                           ARGS="--only linux"
#   make check bench setup clean help
#   make O=DIR ...       keep everything that is made in DIR
#   make VERBOSE=y ...   print every command

ifdef O
options += --output "$(abspath $(O))"
export CARGO_TARGET_DIR := $(abspath $(O))/target
endif
ifeq ($(VERBOSE),y)
options += --verbose
endif

commands := build run test check bench setup clean

.PHONY: all help $(commands)
all: build

$(commands):
	@xtask/bootstrap cargo xtask $@ $(options) $(ARGS)

help:
	@xtask/bootstrap cargo xtask help
