namespace MultiCluster.Simulator.Tests.Conformance;

/// <summary>Reads what happened between the recordings, from <c>setup.txt</c>.</summary>
internal static class SetupScript
{
    private static readonly ILookup<int, string> Steps = File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Conformance", "setup.txt"))
        .Where(l => l.Length > 4 && l[0] != '#').ToLookup(l => int.Parse(l.AsSpan(0, 3), System.Globalization.CultureInfo.InvariantCulture), l => l[4..]);

    public static IEnumerable<string> Before(int number) => Steps[number];

    /// <summary>The body of a request; two recorded ones are shortened and get their length back.</summary>
    public static string FullBody(Recording recording)
    {
        int cut = recording.Body.IndexOf("... (", StringComparison.Ordinal);
        if (cut < 0 || !recording.Body.EndsWith("left out)", StringComparison.Ordinal))
        {
            return recording.Body;
        }

        int length = int.Parse(recording.Header("Content-Length")!, System.Globalization.CultureInfo.InvariantCulture);
        return recording.Body[..cut] + new string('x', length - cut - 3) + "\"}}";
    }
}

/// <summary>Who asked, and how an answer is compared, where the recording alone does not say it.</summary>
internal static class Who
{
    private static readonly HashSet<string> Anonymous = ["003", "010", "122"];
    private static readonly HashSet<string> Discovery = ["016", "017", "018", "019", "020", "022", "023", "024", "025", "028", "284"];
    private static readonly HashSet<string> ByObject = ["046", "220", "307"];

    public static bool IsAnonymous(string name) => Anonymous.Contains(name[..3]);

    public static bool IsDiscovery(string name) => Discovery.Contains(name[..3]);

    public static bool IsByObject(string name) => ByObject.Contains(name[..3]);
}

/// <summary>The recordings that are not replayed, from <c>OUT-OF-SCOPE.md</c>: lines "- folder: reason".</summary>
internal static class OutOfScope
{
    public static IReadOnlyDictionary<string, string> Reasons { get; } =
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Conformance", "OUT-OF-SCOPE.md"))
            .Where(l => l.StartsWith("- ", StringComparison.Ordinal)).Select(l => l[2..].Split(": ", 2))
            .ToDictionary(p => p[0], p => p.Length > 1 ? p[1] : "", StringComparer.Ordinal);

    public static bool Contains(string name) => Reasons.ContainsKey(name);
}
