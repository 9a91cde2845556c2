"""Fails on what tree-sitter's grammar of Swift does not parse: all that can be said without a compiler."""
import sys

import tree_sitter
import tree_sitter_swift

parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))


def errors(node):
    if node.type == "ERROR" or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from errors(child)


found = 0
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        tree = parser.parse(file.read())
    for node in errors(tree.root_node):
        found += 1
        print(f"{name}:{node.start_point[0] + 1}:{node.start_point[1] + 1}: {node.text[:60]!r}")
print(f"syntax: {len(sys.argv) - 1} files, {found} errors")
sys.exit(found > 0)
