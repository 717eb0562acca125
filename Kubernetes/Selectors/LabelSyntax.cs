using System.Buffers;

namespace MultiCluster.Kubernetes.Selectors;

/// <summary>The rules of Kubernetes for label keys and values and for DNS names.</summary>
public static class LabelSyntax
{
    private const int MaxNameLength = 63;
    private const int MaxPrefixLength = 253;

    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("-_.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private static readonly SearchValues<char> DnsCharacters = SearchValues.Create("-0123456789abcdefghijklmnopqrstuvwxyz");

    /// <summary>What is wrong with a label key, as the end of a sentence; null when nothing is.</summary>
    public static string? CheckKey(string key)
    {
        int slash = key.IndexOf('/', StringComparison.Ordinal);
        if (slash >= 0)
        {
            if (key.IndexOf('/', slash + 1) >= 0)
            {
                return "may hold one slash only, between an optional DNS prefix and the name";
            }

            if (!IsDnsSubdomain(key.AsSpan(0, slash)))
            {
                return "must have a lower-case DNS name of at most 253 characters before the slash";
            }
        }

        ReadOnlySpan<char> name = key.AsSpan(slash + 1);
        return name.IsEmpty || !IsName(name)
            ? "must be 1 to 63 letters, digits, '-', '_' or '.', with a letter or digit first and last"
            : null;
    }

    /// <summary>What is wrong with a label value, as the end of a sentence; null when nothing is.</summary>
    public static string? CheckValue(string value) => value.Length == 0 || IsName(value)
        ? null
        : "must be empty or at most 63 letters, digits, '-', '_' or '.', with a letter or digit first and last";

    /// <summary>Whether the text is a DNS label: at most 63 lower-case letters, digits and inner hyphens.</summary>
    public static bool IsDnsLabel(ReadOnlySpan<char> text) =>
        text.Length is > 0 and <= MaxNameLength && !text.ContainsAnyExcept(DnsCharacters) && text[0] != '-' && text[^1] != '-';

    /// <summary>Whether the text is a DNS subdomain: DNS labels joined by dots, at most 253 characters.</summary>
    public static bool IsDnsSubdomain(ReadOnlySpan<char> text)
    {
        if (text.Length is 0 or > MaxPrefixLength)
        {
            return false;
        }

        foreach (Range part in text.Split('.'))
        {
            ReadOnlySpan<char> label = text[part];
            if (label.IsEmpty || label.ContainsAnyExcept(DnsCharacters) || label[0] == '-' || label[^1] == '-')
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsName(ReadOnlySpan<char> text) =>
        text.Length <= MaxNameLength && !text.ContainsAnyExcept(NameCharacters)
        && char.IsAsciiLetterOrDigit(text[0]) && char.IsAsciiLetterOrDigit(text[^1]);
}
