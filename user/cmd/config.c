// SPDX-License-Identifier: GPL-2.0
/*
 * Configuration files (JSON, by jansson) from and to arguments; see config.h.
 */
#define _GNU_SOURCE
#include <err.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/config.h"

#define NUMBER_DIGITS	15	/* decimal digits that any JSON reader keeps */

/* ---- arguments ------------------------------------------------------------------------------ */

void arguments_add(struct arguments *arguments, const char *key, const char *value)
{
	char **word = reallocarray(arguments->word, arguments->count + 2, sizeof(*word));
	char *text;

	if (!word || asprintf(&text, value ? "--%s=%s" : "--%s", key, value) < 0)
		errx(EXIT_CODE_ERROR, "out of memory");
	word[arguments->count++] = text;
	word[arguments->count] = NULL;
	arguments->word = word;
}

void arguments_free(struct arguments *arguments)
{
	while (arguments->count > 0)
		free(arguments->word[--arguments->count]);
	free(arguments->word);
	arguments->word = NULL;
}

/* ---- options -------------------------------------------------------------------------------- */

static bool is_in(const int *keys, int key)
{
	while (*keys && *keys != key)
		keys++;
	return *keys;
}

/* @size: of @name, which need not end there. */
static const struct argp_option *find(const struct option_set *set, const char *name, size_t size)
{
	const struct argp_option *option;

	for (option = set->options; option->key; option++)
		if (strlen(option->name) == size && !strncmp(option->name, name, size) &&
		    !is_in(set->excluded, option->key))
			return option;
	return NULL;
}

/* ---- from a file ---------------------------------------------------------------------------- */

/* A string or a number. */
static int add_value(const char *key, const json_t *value, struct arguments *arguments)
{
	char number[64];

	if (json_is_string(value)) {
		arguments_add(arguments, key, json_string_value(value));
	} else if (json_is_integer(value)) {
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
		arguments_add(arguments, key, number);
	} else if (json_is_real(value)) {
		snprintf(number, sizeof(number), "%.*g", NUMBER_DIGITS, json_real_value(value));
		arguments_add(arguments, key, number);
	} else {
		return -1;
	}
	return 0;
}

static int add_list(const char *key, const json_t *list, struct arguments *arguments)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		if (add_value(key, json_array_get(list, i), arguments))
			return -1;
	return 0;
}

static int add_key(const struct option_set *set, const char *path, const char *key,
		   const json_t *value, struct arguments *arguments, struct failure *why)
{
	const struct argp_option *option = find(set, key, strlen(key));
	bool optional = option && (option->flags & OPTION_ARG_OPTIONAL);

	if (!option)
		return fail(why, "%s: there is no option '%s' (hull help run lists them)", path,
			    key);
	if (!option->arg || (optional && json_is_boolean(value))) {
		if (!json_is_boolean(value))
			return fail(why, "%s: '%s' must be true or false", path, key);
		if (json_is_true(value))
			arguments_add(arguments, key, NULL);
		return 0;
	}
	if (json_is_array(value) && is_in(set->lists, option->key)) {
		if (add_list(key, value, arguments))
			return fail(why, "%s: '%s' must be a list of strings", path, key);
	} else if (add_value(key, value, arguments)) {
		return fail(why, "%s: '%s' must be a string or a number", path, key);
	}
	return 0;
}

int config_load(const char *path, const struct option_set *set, struct arguments *arguments,
		struct failure *why)
{
	json_error_t error;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	const char *key;
	json_t *value;
	int ret = 0;

	if (!root && error.line < 0)
		return fail(why, "%s", error.text);
	if (!root)
		return fail(why, "%s:%d: %s", path, error.line, error.text);
	if (!json_is_object(root))
		ret = fail(why, "%s: must be an object: { \"kernel\": \"vmlinuz\", ... }", path);
	json_object_foreach(root, key, value) {
		ret = add_key(set, path, key, value, arguments, why);
		if (ret)
			break;
	}
	json_decref(root);
	return ret;
}

/* ---- to a file ------------------------------------------------------------------------------ */

/* A number where it is written as JSON writes it, else a string. */
static json_t *value_of(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits && !text[digits] && digits <= NUMBER_DIGITS && (text[0] != '0' || digits == 1))
		return json_integer(strtoll(text, NULL, 10));
	return json_string(text);
}

/* Adds one word; json_*_new() functions take values over, NULL too, and then fail. */
static int print_word(const struct option_set *set, const char *word, json_t *root)
{
	const char *name = word + 2, *equals = strchrnul(name, '=');
	const struct argp_option *option = find(set, name, equals - name);
	json_t *list;

	if (!option)
		return 0;
	if (!*equals)
		return json_object_set_new(root, option->name, json_true());
	if (!is_in(set->lists, option->key))
		return json_object_set_new(root, option->name, value_of(equals + 1));
	list = json_object_get(root, option->name);
	if (!list) {
		list = json_array();
		if (json_object_set_new(root, option->name, list))
			return -1;
	}
	return json_array_append_new(list, json_string(equals + 1));
}

int config_print(FILE *out, const struct option_set *set, const struct arguments *given)
{
	json_t *root = json_object();
	int i, ret = root ? 0 : -1;

	for (i = 0; i < given->count && !ret; i++)
		ret = print_word(set, given->word[i], root);
	if (!ret)
		ret = json_dumpf(root, out, JSON_INDENT(2));
	if (!ret && (putc('\n', out) == EOF || fflush(out)))
		ret = -1;
	json_decref(root);
	return ret;
}
