using System.Reflection;

namespace MultiCluster.Silo.Database;

/// <summary>The SQL that is part of the program.</summary>
internal static class SqlText
{
    private const string KeyMark = "--- ";
    private static readonly Assembly Program = typeof(SqlText).Assembly;

    /// <summary>The steps from one version of the schema to the next; the first makes version 1.</summary>
    public static IReadOnlyList<string> Steps { get; } = [.. Names(".Sql.0").Select(Read)];

    /// <summary>What Orleans executes, by the key under which it looks.</summary>
    public static IReadOnlyDictionary<string, string> Statements { get; } =
        Names(".Sql.Statements.").SelectMany(name => Split(Read(name))).ToDictionary(StringComparer.Ordinal);

    private static IEnumerable<string> Names(string part) =>
        Program.GetManifestResourceNames().Where(n => n.Contains(part, StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    private static string Read(string name)
    {
        using var reader = new StreamReader(Program.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }

    private static IEnumerable<KeyValuePair<string, string>> Split(string file)
    {
        foreach (string part in file.Split("\n" + KeyMark).Skip(1))
        {
            int end = part.IndexOf('\n', StringComparison.Ordinal);
            yield return KeyValuePair.Create(part[..end].Trim(), part[(end + 1)..].Trim());
        }
    }
}
