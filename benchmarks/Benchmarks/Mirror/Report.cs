using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace MultiCluster.Benchmarks.Mirror;

/// <summary>Collects a Markdown table and prints it, with the machine it was measured on.</summary>
internal sealed class Report(string title, params string[] columns)
{
    private readonly StringBuilder _text = new();

    public static string Machine =>
        $"{Environment.ProcessorCount} cores {RuntimeInformation.ProcessArchitecture}, {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}";

    /// <summary>Bytes of this process that are in memory.</summary>
    public static long ResidentBytes()
    {
        foreach (string line in File.ReadLines("/proc/self/status"))
        {
            if (line.StartsWith("VmRSS:", StringComparison.Ordinal))
            {
                return long.Parse(line.AsSpan(6).TrimEnd("kB").Trim(), CultureInfo.InvariantCulture) * 1024;
            }
        }

        throw new PlatformNotSupportedException("Resident memory is read from /proc/self/status.");
    }

    public Report Row(params object[] cells)
    {
        _text.AppendLine($"| {string.Join(" | ", cells.Select(static c => Convert.ToString(c, CultureInfo.InvariantCulture)))} |");
        return this;
    }

    public void Print(string note)
    {
        Console.WriteLine($"# {title}\n\n{note}\n\nMachine: {Machine}.\n");
        Console.WriteLine($"| {string.Join(" | ", columns)} |\n| {string.Join(" | ", columns.Select(static _ => "---"))} |\n{_text}");
    }
}
