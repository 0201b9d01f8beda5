# SPDX-License-Identifier: GPL-2.0
# Programs that test parts of the launcher in user space, with sanitizers and without the module.
# Their Makefiles set TOP (this tree), NAME (of the directory under build), PARTS (the launcher's
# sources), TESTS (names of programs, each one file), packages (libraries, for pkg-config; may be
# empty), and include this.

OUT := ../build/$(NAME)
CFLAGS ?= -O1 -g
flags := -std=gnu11 -Wall -Wextra -Werror -Wno-missing-field-initializers -pthread \
	 -fsanitize=address,undefined -fno-sanitize-recover=all -I../emulate -I../dev -I$(TOP)/user \
	 -I$(TOP)/uapi -I$(OUT) $(if $(packages),$(shell pkg-config --cflags $(packages)))
libraries := $(if $(packages),$(shell pkg-config --libs $(packages)))
OBJECTS := $(patsubst $(TOP)/user/%.c,$(OUT)/%.o,$(PARTS))

all: $(addprefix $(OUT)/test_,$(TESTS))

$(OUT)/test_%: %.c $(OUT)/parts.a $(wildcard *.h) ../dev/test.h
	$(CC) $(flags) $(CFLAGS) -MMD -MP -o $@ $< $(OUT)/parts.a $(libraries)

$(OUT)/parts.a: $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(OUT)/%.o: $(TOP)/user/%.c Makefile ../unit.mk
	@mkdir -p $(@D)
	$(CC) $(flags) $(CFLAGS) -MMD -MP -c -o $@ $<

# Every program runs, also after one has failed.
check: all
	@status=0; \
	for test in $(TESTS); do \
		echo "# $$test"; \
		$(OUT)/test_$$test $(OUT) || status=1; \
	done; \
	exit $$status

clean:
	rm -rf $(OUT)

-include $(OBJECTS:.o=.d) $(wildcard $(OUT)/*.d)

.PHONY: all check clean
