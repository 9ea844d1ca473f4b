"""What Amazon Redshift would say: its grammar, and what that grammar lets pass although Redshift
does not."""

import re

import sqlglot
from sqlglot import exp

# By node, and types by name. sqlglot reads them in every dialect.
REFUSED = (
    exp.OnConflict, exp.Returning, exp.Array, exp.Filter, exp.GenerateSeries, exp.Index, exp.JSONExtract,
    exp.JSONExtractScalar, exp.Lateral, exp.Command, exp.ExplodingGenerateSeries,
)  # fmt: skip
TYPES = {"JSON", "JSONB", "SERIAL", "BIGSERIAL", "SMALLSERIAL", "UUID", "ARRAY", "HSTORE", "INET",
         "MONEY", "XML"}  # fmt: skip


def refusals(sql):
    """Why Redshift would not take it."""
    # sqlglot takes "$1, …, $" for a quoted text.
    sql = re.sub(r"\$\d+", "NULL", sql)
    try:
        trees = sqlglot.parse(sql, read="redshift")
    except sqlglot.errors.SqlglotError as error:
        return [str(error)]
    found = []
    for node in (node for tree in trees if tree for node in tree.walk()):
        if isinstance(node, REFUSED):
            found.append(type(node).__name__)
        elif isinstance(node, exp.Distinct) and node.args.get("on"):
            found.append("DISTINCT ON")
        elif isinstance(node, exp.DataType) and node.this.name in TYPES:
            found.append(node.this.name)
    return found
