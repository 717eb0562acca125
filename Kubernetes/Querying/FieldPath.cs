using System.Collections.Immutable;
using System.Text;

namespace MultiCluster.Kubernetes.Querying;

/// <summary>What one step of a <see cref="FieldPath"/> takes.</summary>
public enum FieldStepKind
{
    /// <summary>A property of an object.</summary>
    Property,

    /// <summary>One element of an array, counted from 0.</summary>
    Index,

    /// <summary>Every element of an array.</summary>
    Every,
}

/// <summary>One step of a path.</summary>
/// <param name="Kind">What it takes.</param>
/// <param name="Name">Name of the property; empty otherwise.</param>
/// <param name="Index">Index of the element; 0 otherwise.</param>
public readonly record struct FieldStep(FieldStepKind Kind, string Name, int Index)
{
    /// <summary>A property.</summary>
    public static FieldStep Property(string name) => new(FieldStepKind.Property, name, 0);

    /// <summary>An element.</summary>
    public static FieldStep At(int index) => new(FieldStepKind.Index, "", index);

    /// <summary>Every element.</summary>
    public static readonly FieldStep Every = new(FieldStepKind.Every, "", 0);
}

/// <summary>Where in an object a value lies: <c>spec.containers[*].image</c>, <c>metadata.annotations['a.b/c']</c>. Immutable.</summary>
public sealed class FieldPath : IEquatable<FieldPath>
{
    /// <summary>A path of known steps; at least one, the first a property.</summary>
    public FieldPath(ImmutableArray<FieldStep> steps)
    {
        if (steps.IsDefaultOrEmpty || steps[0].Kind != FieldStepKind.Property)
        {
            throw new ArgumentException("A path begins with a property.", nameof(steps));
        }

        Steps = steps;
        Text = Print(steps);
    }

    /// <summary>The steps.</summary>
    public ImmutableArray<FieldStep> Steps { get; }

    /// <summary>Canonical text: dots where they are enough, brackets and quotes where they are needed.</summary>
    public string Text { get; }

    /// <inheritdoc/>
    public override string ToString() => Text;

    /// <inheritdoc/>
    public bool Equals(FieldPath? other) => other is not null && Text == other.Text;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as FieldPath);

    /// <inheritdoc/>
    public override int GetHashCode() => string.GetHashCode(Text, StringComparison.Ordinal);

    internal static bool IsPlainCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '$';

    private static string Print(ImmutableArray<FieldStep> steps)
    {
        var text = new StringBuilder();
        foreach (FieldStep step in steps)
        {
            switch (step.Kind)
            {
                case FieldStepKind.Every:
                    text.Append("[*]");
                    break;
                case FieldStepKind.Index:
                    text.Append('[').Append(step.Index).Append(']');
                    break;
                default:
                    bool plain = step.Name.Length > 0 && step.Name.All(IsPlainCharacter);
                    if (plain)
                    {
                        text.Append(text.Length > 0 ? "." : "").Append(step.Name);
                    }
                    else
                    {
                        text.Append('[');
                        FieldLiteral.Quote(text, step.Name);
                        text.Append(']');
                    }

                    break;
            }
        }

        return text.ToString();
    }
}
