using System.Text.RegularExpressions;
using MultiCluster.Deploy.Tests.Support;

namespace MultiCluster.Deploy.Tests.Operations;

/// <summary>The manual speaks of the program as it is.</summary>
public sealed partial class ManualTests
{
    private static readonly string Manual = Repository.Read("docs/operations.md");

    [Fact]
    public void Refusals_InTheManual_AreThoseOfTheProgram()
    {
        string sources = string.Concat(new[] { "Silo", "Gateway" }.SelectMany(Sources).Select(File.ReadAllText));
        string[] quoted = [.. Section("When it does not start").Split('\n').Select(l => Quoted().Match(l)).Where(m => m.Success).Select(m => m.Groups[1].Value)];

        Assert.True(quoted.Length > 30);
        Assert.All(quoted, sentence => Assert.True(sources.Contains(sentence, StringComparison.Ordinal), $"Nothing says '{sentence}'."));
    }

    [Fact]
    public void Refusals_OfTheDatabase_AreAllInTheManual()
    {
        string[] quoted = [.. Section("When it does not start").Split('\n').Select(l => Quoted().Match(l)).Where(m => m.Success).Select(m => m.Groups[1].Value)];
        string[] sentences =
        [
            .. new[] { "DatabaseException.cs", "DatabaseSchema.cs", "DatabaseSettings.cs", "SharedFiles.cs" }
                .SelectMany(f => Sentence().Matches(Repository.Read($"Silo/Database/{f}")).Select(m => m.Value)),
        ];

        Assert.True(sentences.Length > 15);
        Assert.All(sentences, sentence => Assert.True(
            quoted.Any(q => sentence.Contains(q, StringComparison.Ordinal) || sentence.Contains(WithoutValues(q), StringComparison.Ordinal)),
            $"docs/operations.md does not say what to do about: {sentence}"));
    }

    [Fact]
    public void Links_LeadSomewhere()
    {
        HashSet<string> anchors =
        [
            .. Manual.Split('\n').Where(l => l.StartsWith('#')).Select(l => NoWord().Replace(l.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-')),
        ];
        Assert.All(Link().Matches(Manual), link =>
        {
            string target = link.Groups[1].Value;
            Assert.True(
                target.StartsWith('#') ? anchors.Contains(target[1..]) : Path.Exists(Path.Combine(Repository.Root, "docs", target.Split('#')[0])),
                $"{target} leads nowhere.");
        });
    }

    [Fact]
    public void Manifests_InTheManual_Exist()
    {
        Assert.All(DeployPath().Matches(Manual), path => Assert.True(Path.Exists(Path.Combine(Repository.Root, path.Value)), $"There is no {path.Value}."));
    }

    private static string WithoutValues(string text) => text.Replace("Database:", "", StringComparison.Ordinal);

    private static string Section(string title)
    {
        int start = Manual.IndexOf($"\n## {title}\n", StringComparison.Ordinal);
        int end = Manual.IndexOf("\n## ", start + 4, StringComparison.Ordinal);
        return end < 0 ? Manual[start..] : Manual[start..end];
    }

    private static IEnumerable<string> Sources(string folder) =>
        Directory.EnumerateFiles(Path.Combine(Repository.Root, folder), "*.cs", SearchOption.AllDirectories);

    [GeneratedRegex("^\\| `([^`]+)` \\|")]
    private static partial Regex Quoted();

    // A sentence that says what to do: it has a semicolon, and what is wrong before it.
    [GeneratedRegex("(?<=\")[^\"\\n]{12,}; [^\"\\n]+(?=\")")]
    private static partial Regex Sentence();

    [GeneratedRegex(@"\]\(([^)]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex("deploy/[a-z-]+(/[a-z.-]*[a-z])?")]
    private static partial Regex DeployPath();

    [GeneratedRegex("[^a-z0-9 _-]")]
    private static partial Regex NoWord();
}
